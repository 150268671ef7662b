"""What a run comes to in the terminal: the verdict first, at most 40 lines, nothing interpreted."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360.core.findings import Finding
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.terminal import plain
from efficient360.reports.report import Report
from efficient360.reports.summary_data import summary_data
from efficient360.reports.terminal_summary import LINES, WIDTH, brief, summary
from efficient360.reports.verdict import verdict


def shown(report: Report, folder: Path | None = Path("runs/x")) -> str:
    return plain(summary(report, folder), WIDTH)


def test_the_verdict_comes_first_then_axes_then_the_place() -> None:
    text = " ".join(shown(synthetic.report()).split())
    places = [text.index(part) for part in (verdict(synthetic.report()).sentences[0], "axes scored", "runs/x/report.html", "report runs/x --all")]
    assert places == sorted(places)


@given(
    name=st.text(max_size=300),
    findings=st.integers(0, 12),
    length=st.integers(0, 400),
    axes=st.integers(1, 4),
)
def test_it_fits_forty_lines_whatever_there_is_to_say(name: str, findings: int, length: int, axes: int) -> None:
    report = synthetic.report(name)
    told = [Finding(f"near-chance-{i}", f"{i} " + "word " * (length // 5), "do this") for i in range(findings)]
    many = [axis for axis in report.axes for _ in range(axes)]
    report = dataclasses.replace(report, findings=told, axes=many)
    assert len(shown(report, Path("runs") / ("x" * 100)).splitlines()) <= LINES
    assert len(plain(brief(report, Path("runs/x")), WIDTH).splitlines()) <= 20


def test_nothing_in_a_text_is_markup() -> None:
    assert "[bold]x[/bold]" in shown(synthetic.report("[bold]x[/bold]"))


def test_why_metrics_are_missing_is_said() -> None:
    report = synthetic.report()
    assert any(isinstance(record.outcome, Failure) for record in report.records)
    text = " ".join(shown(report).split())
    assert "missing" in text
    assert any(record.outcome.message[:40] in text for record in report.records if isinstance(record.outcome, Failure))


def test_a_run_without_anything_is_told_too() -> None:
    empty = dataclasses.replace(synthetic.report(), records=[], axes=[], findings=[])
    assert "runs/x/report.html" in shown(empty)


def test_as_data_it_is_json_with_every_outcome() -> None:
    report = synthetic.report()
    data = json.loads(json.dumps(summary_data(report, Path("runs/x")), allow_nan=False))
    measured = [record.outcome for record in report.records if isinstance(record.outcome, Measurement)]
    assert [row["value"] for row in data["metrics"]] == [m.value for m in measured]
    assert [row["metric"] for row in data["metrics"]] == [m.metric.name for m in measured]
    assert len(data["metrics"]) + len(data["missing"]) == len(report.records)
    assert {row["status"] for row in data["missing"]} <= {status.value for status in Status}
    assert data["verdict"]["sentences"] == list(verdict(report).sentences)
    assert [axis["name"] for axis in data["axes"]] == [axis.dimension.name for axis in report.axes]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, plain(summary(synthetic.report()), width).splitlines())) <= width


def test_a_void_axis_is_called_void_and_not_unmeasured() -> None:
    report = synthetic.report()
    axis = next(axis for axis in report.axes if axis.score is not None and len(axis.parts) == 1)
    part = dataclasses.replace(axis.parts[0], measurement=None, score=None, reason="void: the splits differ")
    void = dataclasses.replace(axis, parts=[part], score=None, coverage=0.0)
    text = shown(dataclasses.replace(report, axes=[void if one is axis else one for one in report.axes]))
    line = next(line for line in text.splitlines() if line.strip().startswith(axis.dimension.title))
    assert "the splits differ" in line
