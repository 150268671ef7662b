"""The leaderboard: which numbers stand in it, who stands beside whom, and that it holds no one's markup."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import synthetic
from efficient360.errors import RunError
from efficient360.leaderboard.build import boards, build
from efficient360.reports.report import Report, axes_of


def without(report: Report, *evaluators: str) -> Report:
    records = [r for r in report.records if r.evaluator not in evaluators]
    return dataclasses.replace(report, records=records, axes=axes_of(synthetic.dimensions(), records))


@pytest.fixture
def runs(tmp_path: Path) -> list[tuple[Path, Report]]:
    first, second = synthetic.report("first"), without(synthetic.report(synthetic.HOSTILE_NAME, scale=0.9), "macs")
    return [(tmp_path / "runs" / "a", first), (tmp_path / "runs" / "b", second)]


def rows(html: str) -> list[dict[str, str]]:
    """``data-value`` by column of each row."""
    found = re.findall(r'<tr data-run="(.*?)".*?</tr>', html, re.S)
    bodies = re.findall(r"<tr data-run=.*?</tr>", html, re.S)
    assert len(found) == len(bodies)
    return [dict(re.findall(r'data-key="([^"]*)" data-value="([^"]*)"', body)) for body in bodies]


def test_it_writes_the_page_plotly_and_the_numbers(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    page = build(runs, tmp_path / "site")
    assert page == tmp_path / "site" / "index.html"
    assert {p.name for p in page.parent.iterdir()} == {"index.html", "plotly.min.js", "leaderboard.json"}
    assert page.stat().st_size < 200_000


def test_values_are_raw_and_a_gap_is_no_number(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    html = build(runs, tmp_path).read_text(encoding="utf-8")
    first, second = rows(html)
    assert float(first["accuracy.top1"]) == 0.893
    assert float(second["accuracy.top1"]) == pytest.approx(0.8037)
    assert float(first["macs.macs"]) == 1.256e9
    assert "macs.macs" not in second
    assert "not measured" in html


def test_the_numbers_as_data(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    build(runs, tmp_path)
    data = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))
    (board,) = data["boards"]
    top1 = next(c for c in board["columns"] if c["key"] == "accuracy.top1")
    assert (top1["unit"], top1["better"], top1["dimension"]) == ("1", "higher", "Performance")
    assert board["runs"][0]["values"]["accuracy.top1"] == {"value": 0.893, "interval": "87.1 – 91.1 %", "n": 897}
    assert "macs.macs" not in board["runs"][1]["values"]
    assert board["runs"][1]["scores"]["computation"] is None
    assert board["runs"][0]["report"] is None


def test_summary_metrics_come_first_and_the_rest_can_be_added(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    (board,) = boards(runs, tmp_path)
    dimensions = [c.dimension for c in board.columns]
    assert dimensions[0] == "Performance"
    assert "" not in dimensions[: dimensions.index("")]
    assert set(dimensions[dimensions.index("") :]) == {""}
    assert {"accuracy.top5", "parameters.parameters"} <= {c.key for c in board.columns if not c.dimension}
    html = build(runs, tmp_path).read_text(encoding="utf-8")
    assert re.search(r'<th scope="col" class="num" data-key="accuracy.top5" hidden>', html)
    assert re.search(r'data-sort="macs.macs" data-first="ascending"', html)
    assert re.search(r'data-sort="accuracy.top1" data-first="descending"', html)


def test_other_data_get_a_table_of_their_own(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    alone = build(runs, tmp_path).read_text(encoding="utf-8")
    assert "These runs used different data" not in alone
    costs_only = dataclasses.replace(synthetic.report("costs"), dataset=None)
    mixed = [(tmp_path / "c", costs_only), *runs, (tmp_path / "d", synthetic.report("elsewhere", digest="e" * 64))]
    found = boards(mixed, tmp_path)
    assert [(b.digest, len(b.entries)) for b in found] == [("d" * 64, 2), ("e" * 64, 1), ("", 1)]
    assert found[-1].title == "Without data"
    assert "These runs used different data" in build(mixed, tmp_path).read_text(encoding="utf-8")


def test_names_are_escaped(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    html = build(runs, tmp_path).read_text(encoding="utf-8")
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    for block in re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', html, re.S):
        assert "<" not in block
        json.loads(block)


def test_a_run_is_linked_when_it_has_a_page(runs: list[tuple[Path, Report]], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "report.html").touch()
    html = build(runs, tmp_path / "site").read_text(encoding="utf-8")
    assert re.findall(r'<a href="([^"#]*report.html)">', html) == ["../runs/a/report.html"]


def test_the_same_folder_name_twice_gets_two_ids(tmp_path: Path) -> None:
    twice = [(tmp_path / side / "run", synthetic.report(side)) for side in ("left", "right")]
    (board,) = boards(twice, tmp_path)
    assert [entry.id for entry in board.entries] == ["run-aaaaaa", "run-aaaaaa-2"]


def test_no_runs_are_an_error_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        build([], tmp_path)
    assert caught.value.code == "no-runs"
    assert "efficient360 leaderboard build" in caught.value.hint


def occupied(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def beneath_a_file(tmp_path: Path) -> Path:
    return occupied(tmp_path) / "site"


@pytest.mark.parametrize("place", [occupied, beneath_a_file])
def test_a_folder_that_cannot_be_written_is_named(runs: list[tuple[Path, Report]], tmp_path: Path, place: Callable[[Path], Path]) -> None:
    out = place(tmp_path)
    with pytest.raises(RunError, match=re.escape(str(out))) as caught:
        build(runs, out)
    assert caught.value.code == "unwritable-folder"
