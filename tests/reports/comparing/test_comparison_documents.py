"""A comparison as text, Markdown, LaTeX, CSV, JSON and page, each read back by a reader of its own."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from compared_runs import LATENCY, MACS, full, made
from efficient360.core.findings import Finding, disturbances_table
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.outcome import Record
from efficient360.core.terminal import plain
from efficient360.errors import MetricError, SettingsError
from efficient360.reports.comparing import documents, text, words
from efficient360.reports.comparing.run import Run
from efficient360.reports.comparing.verdicts import Comparison
from efficient360.reports.comparison import compare_runs
from efficient360.reports.run_comparison import RunComparison

RNG = np.random.default_rng(0)
RIGHT = (RNG.random(300) < 0.6).astype(float)
BETTER = np.maximum(RIGHT, (RNG.random(300) < 0.3).astype(float))
EVIL = "<img src=x onerror=alert(1)> | [bold] & 100%_{x}"
RUNS = [full("plain", RIGHT, bytes=2e7), full(EVIL, BETTER, macs=2e9)]
TWO = compare_runs(RUNS)
THREE = compare_runs([*RUNS, full("third", RIGHT, macs=3e9)])
BOTH = RunComparison(TWO, [run.report for run in RUNS])


def printed(comparison: Comparison, width: int = 80, everything: bool = False) -> list[str]:
    return plain(text.text(comparison, everything), width).splitlines()


def test_two_runs_fit_a_screen_and_name_the_better_one_first() -> None:
    lines = printed(TWO)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(f"B  {EVIL}")
    told = "\n".join(lines)
    headline = "A is better on Computation (MACs +100 %); B is better on Performance and Robustness; mixed on 1, undecided on 1, not tested on 1."
    assert headline in " ".join(told.split())
    order = [told.index(heading) for heading in ("\nA better", "\nB better", "\nMixed", "\nUndecided", "\nNot tested")]
    assert order == sorted(order)
    assert re.search(r"Performance +top-1 +\d\d\.\d % +\d\d\.\d % \+\d+\.\d pt \[\+\d+\.\d, \+\d+\.\d\]", told)
    assert re.search(r"Privacy +attack AUC +void +void", told)
    assert " tie" not in told


def test_everything_is_there_on_request() -> None:
    told = "\n".join(printed(TWO, 120, everything=True))
    assert "corruption = fog" in told
    assert "p < 0.001" in told
    assert "Not tested, void: pixels alone tell members: Membership inference AUC (strongest attack)" in told
    assert "--all" not in told


def test_three_runs_say_who_beats_whom() -> None:
    told = "\n".join(printed(THREE))
    assert re.search(r"Performance +top-1 .* B > A, C", told)
    assert re.search(r"Computation +MACs .* A > B; A, B > C", told)
    assert "Better than another run, and beaten by none: A on Computation" in told
    assert "; C on none." in " ".join(told.split())
    assert "No run is better" in words.headline(compare_runs([full(name, RIGHT) for name in ("a", "b", "c")]))


class Tables(HTMLParser):
    """Cells of an HTML page's tables, and every tag and attribute in it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def test_markdown_is_read_back_by_a_markdown_parser() -> None:
    page = MarkdownIt("gfm-like", {"linkify": False}).render(documents.markdown(TWO, everything=True))
    tables = Tables()
    tables.feed(page)
    assert "<img" not in page
    assert tables.rows[0] == ["Axis", "Metric", "A", "B", "Verdict", "B − A [95 % interval]"]
    assert next(row for row in tables.rows if row[0] == "Performance")[4] == "B better"
    assert len(tables.rows) == 2 + sum(len(axis.leading((0, 1))) for axis in TWO.axes) + len(TWO.rows)


def test_latex_escapes_what_would_be_a_command() -> None:
    tex = documents.latex(THREE, everything=True)
    assert r"100\%\_\{x\}" in tex
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    for line in tex.splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) in (5, 7)


def test_csv_has_numbers_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(documents.csv(TWO, everything=True))))
    assert len(rows) == len(TWO.rows)
    top1 = next(row for row in rows if row["metric"] == "top1")
    assert float(top1["first"]) == RIGHT.mean()
    assert float(top1["difference"]) == pytest.approx(BETTER.mean() - RIGHT.mean())
    assert top1["verdict"] == "second is better"
    assert len(list(csv.DictReader(io.StringIO(documents.csv(TWO, everything=False))))) == sum(row.summary for row in TWO.rows)


def test_json_has_everything_and_no_number_that_is_none() -> None:
    data = json.loads(documents.document(THREE, "json", False, []), parse_constant=lambda _: pytest.fail("NaN or infinity"))
    assert [run["letter"] for run in data["runs"]] == ["A", "B", "C"]
    assert len(data["metrics"]) == len(THREE.rows)
    assert {v["verdict"] for axis in data["axes"] for v in axis["verdicts"]} <= {v.value for v in type(THREE.rows[0].verdict)}
    assert data["metrics"][0]["conditions"] == {}
    assert data["axes"][0]["scores"] == [{"value": pytest.approx(values.mean()), "bound": ""} for values in (RIGHT, BETTER, RIGHT)]
    assert next(axis for axis in data["axes"] if axis["name"] == "privacy")["scores"][0]["value"] is None
    assert data["decisive"] == []  # the corruptions' mean, an axis's own metric, has said it


def test_the_page_runs_nothing_but_its_own_script_and_loads_nothing() -> None:
    page = BOTH.to_html()
    tables = Tables()
    tables.feed(page)
    assert "<img" not in page
    assert not [
        tag for tag, attributes in tables.tags if tag in ("link", "iframe", "object") or "src" in attributes or any(k.startswith("on") for k in attributes)
    ]
    (policy,) = (a["content"] for tag, a in tables.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert next(row for row in tables.rows if row[0].startswith("Performance"))[1] == "B better"
    # On a phone a row's cells stand below one another, each with the name of its run before it.
    assert [a["data-run"] for tag, a in tables.tags if tag == "td" and "data-run" in a][:3] == ["A", "B", "B − A"]
    ids = [str(attributes["id"]) for _, attributes in tables.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(a["href"])[1:] for tag, a in tables.tags if tag == "a"}
    assert links <= set(ids)
    assert "<title>digits" not in page


def test_a_page_of_three_runs_draws_three_lines() -> None:
    page = documents.document(THREE, "html", True, [run.report for run in [*RUNS, full("third", RIGHT, macs=3e9)]])
    assert "Radar of 3 runs" in page
    assert "B &gt; A, C" in page


def test_a_comparison_in_python_gives_the_same() -> None:
    assert BOTH.headline == words.headline(TWO)
    assert BOTH.headline.partition(";")[0] in str(BOTH)
    assert BOTH.to_markdown() == documents.markdown(TWO, False)
    assert BOTH.to_latex() == documents.latex(TWO, False)
    assert BOTH.to_dict()["headline"] == words.headline(TWO)
    assert "&lt;img" in BOTH._repr_html_()
    assert len(BOTH.to_frame()) == len(TWO.rows)
    assert BOTH["performance"].title == "Performance"
    with pytest.raises(MetricError) as error:
        BOTH["speed"]
    assert error.value.code == "unknown-metric"


def timed(name: str, device: str, disturbance: str = "") -> Run:
    conditions: dict[str, str | int | float | bool] = {"runtime": "onnxruntime", "precision": "fp32", "device": device, "batch": 1}
    finding = (disturbances_table([("onnxruntime:fp32", Finding("x", disturbance, "stop them"))]),) if disturbance else ()
    interval = Interval(0.008, 0.012, "student-t over 3 processes")
    return made(name, [Record("latency", Measurement(LATENCY, 0.01, 300, interval, conditions, extra=finding)), Record("macs", Measurement(MACS, 1e9))])


def test_a_time_has_its_device_and_runtime_beside_it() -> None:
    runs = [timed("a", "local"), timed("b", "local")]
    alike = compare_runs(runs)
    told = "\n".join(printed(alike))
    assert "Latency: ONNX Runtime fp32 on the machine of its run (device local)" in told
    assert "disturbed" not in told
    assert "ONNX Runtime fp32 on the machine" in documents.markdown(alike, False)
    assert "Best latency · ONNX Runtime fp32 on the machine" in documents.document(alike, "html", False, [run.report for run in runs])
    emulated = documents.markdown(compare_runs([timed("a", "local"), timed("b", "limited:1core-2gb")]), False)
    assert "A: ONNX Runtime fp32 on the machine of its run (device local); B: ONNX Runtime fp32 on device limited:1core-2gb (emulated)" in emulated


def test_whose_timing_was_disturbed_is_said_in_every_form() -> None:
    runs = [timed("a", "local"), timed("b", "local", "it was preempted 642 times a second")]
    found = compare_runs(runs)
    (told,) = found.disturbed
    assert told == "B: the timing was disturbed: it was preempted 642 times a second (Latency)."
    assert told in " ".join(" ".join(printed(found)).split())
    assert documents.data(found)["timing_disturbed"] == [told]
    for form in ("md", "tex", "html"):
        assert "preempted 642 times a second" in documents.document(found, form, False, [run.report for run in runs])


def test_the_radars_of_a_comparison_are_a_file(tmp_path: Path) -> None:
    assert "Radar of 2 runs" in BOTH.save_figure(tmp_path / "radar.svg").read_text(encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        BOTH.save_figure(tmp_path / "radr.svg")
    assert error.value.code == "no-such-figure"


@pytest.mark.parametrize("ending", ["html", "md", "tex", "csv", "json", "txt"])
def test_a_file_has_the_form_that_its_ending_names(tmp_path: Path, ending: str) -> None:
    file = BOTH.save(tmp_path / f"there/comparison.{ending}")
    assert file.read_text(encoding="utf-8").startswith(
        {"html": "<!doctype", "md": "**", "tex": "\\begin", "csv": "first_run", "json": "{", "txt": "A "}[ending]
    )


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        BOTH.save(tmp_path / "comparison.docx")
    assert error.value.code == "bad-option"
