"""The page, its Markdown and its JSON, on cells made by hand."""

import json
import re
from html.parser import HTMLParser

import pytest
from made_cells import NOISY, made_cell

from efficient360.benchmark.board import boards
from efficient360.benchmark.cells import RowRole
from efficient360.benchmark.page import exclusions
from efficient360.benchmark.publish import publish
from efficient360.benchmark.scatter import scatters
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.tables import CellStyle, latency_table
from efficient360.benchmark.zoo import Family
from efficient360.errors import RunError

HOSTILE = "<script>alert(1)</script>\"'|`*"


def stored(folder, cells):
    store = CellStore(folder)
    store.prepare()
    store.append(cells)
    return publish(folder)


@pytest.fixture
def cells():
    found = []
    for device, emulated, slower in (("local", "", 1.0), ("limited:1core-2gb", "emulated on Some CPU: 1 of 2 cores", 2.0)):
        found.append(made_cell("matrix products", "openvino", 0.01, role=RowRole.PEAK, device=device, emulated=emulated))
        for i, name in enumerate(("a", "b", "c", "d", HOSTILE)):
            family = (Family.VIT, Family.HYBRID, Family.CNN)[i % 3]
            for j, runtime in enumerate(("litert", "openvino", "ncnn")):
                time = slower * (0.01 + 0.003 * i + 0.004 * ((i + j) % 3))
                gap = "aten.roll <img src=x onerror=alert(2)> is missing" if (i, runtime) == (1, "ncnn") else None
                style = {"passed": (i, runtime) != (2, "openvino"), "findings": [NOISY] if i == 0 else [], "gap": gap}
                found.append(made_cell(name, runtime, time, family=family, macs=10**8 * (i + 1), device=device, emulated=emulated, **style))
    return [*found, made_cell("a", "litert", 0.0105, turn=2, macs=10**8)]


def test_every_name_is_escaped_and_nothing_runs_or_is_fetched(tmp_path, cells):
    text = stored(tmp_path, cells).read_text()
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

    Reader().feed(text)
    names = [tag for tag, _ in tags]
    assert "script" not in names
    assert "img" not in names
    assert not [a for _, a in tags for key in a if key.startswith("on")]
    assert "&lt;script&gt;alert(1)" in text
    links = [a["href"] for tag, a in tags if tag == "a"]
    assert all(not link.startswith(("http", "//")) for link in links)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_the_best_is_marked_and_what_fails_is_out(cells):
    board = boards(cells)[0]
    rows = {row[0].text: row[1:] for row in latency_table(board).rows}
    heads = latency_table(board).head[1:]
    assert heads == ("OpenVINO", "LiteRT", "ncnn")
    for model in board.models:
        kinds = [cell.style for cell in rows[model.name]]
        assert kinds.count(CellStyle.BEST) == 1
    wrong = rows["c"][heads.index("OpenVINO")]
    assert (wrong.style, wrong.text[0]) == (CellStyle.WRONG, "✗")
    assert "80 % of their spread" in wrong.reason
    gap = rows["b"][heads.index("ncnn")]
    assert (gap.style, gap.text) == (CellStyle.GAP, "not supported")
    assert "only 10 of 40 runs" in rows["a"][0].reason


def test_reasons_name_the_devices_they_hold_on(cells):
    found = {(reason.model, reason.column): reason.where for reason in exclusions(boards(cells))}
    assert found == {("b", "ncnn"): "everywhere", ("c", "OpenVINO"): "everywhere"}


def test_emulated_devices_are_labelled(tmp_path, cells):
    text = stored(tmp_path, cells).read_text()
    assert text.index("Latency on local") < text.index("Latency on limited:1core-2gb")
    assert 'class="sheet emulated"' in text
    assert "Not real hardware: emulated on Some CPU: 1 of 2 cores" in text


def test_json_holds_the_numbers(tmp_path, cells):
    stored(tmp_path, cells)
    data = json.loads((tmp_path / "matrix.json").read_text())
    local = data["boards"][0]
    cell = next(c for c in local["cells"] if (c["model"], c["column"]) == ("a", "litert:fp32"))
    assert cell["p50"] == 0.01
    assert cell["ranked"]
    assert local["repeatability"]["cells"] == 1
    assert local["coverage"] == {"cells": 15, "measured": 14, "counted": 13}
    assert data["between_devices"][0]["overall"]["rho"] == pytest.approx(1.0)


def test_markdown_tables_stay_tables(tmp_path, cells):
    stored(tmp_path, cells)
    text = (tmp_path / "matrix.md").read_text()
    assert "<script>" not in text
    table: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append(line)
        else:
            assert len({len(re.split(r"(?<!\\)\|", row)) for row in table}) <= 1, table
            table = []


def test_points_lie_where_their_logarithms_are(cells):
    chart = next(c for c in scatters(boards(cells)[0]) if c.title == "LiteRT")
    assert len(chart.points) == 5
    first, second, _, fourth = chart.points[:4]  # 0.1, 0.2 and 0.4 GMAC: equal steps on a logarithmic axis
    assert second.x - first.x == pytest.approx(fourth.x - second.x, abs=0.2)
    assert [point.family for point in chart.points[:3]] == ["vit", "hybrid", "cnn"]
    assert chart.line is not None


def test_one_cell_alone_makes_a_page(tmp_path):
    text = stored(tmp_path, [made_cell(macs=None)]).read_text()
    assert "1 model, 1 runtime, 1 device" in text


def test_the_matmul_reference_alone_is_no_matrix(tmp_path):
    with pytest.raises(RunError) as caught:
        stored(tmp_path, [made_cell("matrix products", role=RowRole.PEAK)])
    assert caught.value.code == "no-cells"
