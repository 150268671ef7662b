"""The summary as a terminal, a narrow terminal and a pipe print it."""

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

import synthetic
from efficient360.core.findings import Finding, disturbances_table
from efficient360.core.measurement import Failure, Measurement
from efficient360.core.outcome import Record
from efficient360.core.text import HIDDEN
from efficient360.reports import sections
from efficient360.reports.report import axes_of
from efficient360.reports.terminal import full_listing


def printed(width: int = 80, name: str = "deit_tiny_digits", folder: Path | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(full_listing(synthetic.report(name), folder))
    return out.getvalue()


def test_measurements_stand_under_their_dimension() -> None:
    lines = printed().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Performance"))
    assert "score 0.89" in lines[start]
    assert lines[start + 1].split() == ["Top-1", "accuracy", "89.3", "%", "87.1", "–", "91.1", "%", "n", "897"]


def test_values_stand_in_one_column() -> None:
    lines = printed().partition(" dimensions\n")[0].splitlines()
    ends = {line.index(unit) + len(unit) for line in lines for unit in ("5.72 M", "22.9 MB", "1.26 GMAC", "0.412 nat", "89.3 %") if unit in line}
    assert len(ends) == 1


def test_no_number_is_cut_at_eighty_columns() -> None:
    long = dataclasses.replace(synthetic.report("m"), records=[_wide(record) for record in synthetic.report("m").records])
    out = io.StringIO()
    Console(file=out, width=80).print(full_listing(long))
    (line,) = [line for line in out.getvalue().splitlines() if "n 1,234,567" in line]
    assert line.split()[-8:] == ["89.3", "%", "87.1", "–", "91.1", "%", "n", "1,234,567"]
    assert "…" not in line


def _wide(record: Record) -> Record:
    outcome = record.outcome
    if not isinstance(outcome, Measurement) or outcome.metric.name != "top1":
        return record
    return dataclasses.replace(record, outcome=dataclasses.replace(outcome, n=1_234_567))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_none_draws_boxes(width: int) -> None:
    text = printed(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert not any("\u2500" <= c <= "\u257f" for c in text)
    assert "\x1b" not in text


def test_gaps_and_failures_say_why() -> None:
    text = " ".join(printed().split())
    assert "not applicable Another process held the machine. → Stop other work and run the command again." in text
    assert "failed The process died with signal 9" in text
    assert "no score, missing: Peak activation memory (batch size = 1)" in text
    assert "in the report: Accuracy under corruption (20 values)" in text
    assert "Continual learning" in text


def test_a_name_is_no_markup_and_moves_no_cursor() -> None:
    text = printed(name="[red]name[/red]\x1b[2J\x07")
    assert "[red]name[/red]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_findings_stand_before_every_number_and_move_no_cursor() -> None:
    finding = Finding("near-chance", "the accuracy is close to guessing\x1b[2J [red]here[/red]", "check the classes")
    out = io.StringIO()
    Console(file=out, width=80).print(full_listing(dataclasses.replace(synthetic.report("a"), findings=(finding,))))
    text = " ".join(out.getvalue().split())
    assert text.index("Check first: 1 finding") < text.index(f"close to guessing{HIDDEN}[2J [red]here[/red] → check the classes") < text.index("Performance")
    assert "\x1b" not in text


def test_a_disturbed_timing_and_an_emulated_device_are_said_beside_the_values() -> None:
    disturbed = disturbances_table([("torch", Finding("foreign-load", "other processes used 1.20 of a CPU core", "stop them"))])
    record = Record("latency", Measurement(synthetic.LATENCY, 0.01, conditions={"device": "limited:1core-2gb"}, extra=(disturbed,)))
    report = dataclasses.replace(synthetic.report("a"), records=[record], axes=axes_of(synthetic.dimensions(), [record]))
    out = io.StringIO()
    Console(file=out, width=80).print(full_listing(report))
    section = " ".join(out.getvalue().split()).partition("Latency ")[2]
    assert "warning: the timing was disturbed: other processes used 1.20 of a CPU core" in section.partition("Median latency")[0]
    assert "limited:1core-2gb (emulated)" in section


def test_the_files_that_exist_are_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    (tmp_path / "report.json").touch()
    text = printed(200, folder=tmp_path)
    assert str(tmp_path / "report.html") in text
    assert "with report.json" in text
    assert "examples.parquet" not in text


def test_the_time_spent_counts_each_evaluation_once() -> None:
    report = synthetic.report()
    timed = [dataclasses.replace(r, seconds=10.0, key="k" + r.evaluator) for r in report.records]
    out = io.StringIO()
    Console(file=out, width=80).print(full_listing(dataclasses.replace(report, records=timed)))
    evaluators = len({r.evaluator for r in report.records})
    assert f"Measured in {evaluators * 10 // 60} min {evaluators * 10 % 60:02d} s" in out.getvalue()


def test_at_the_end_stands_a_line_for_each_measured_dimension() -> None:
    lines = printed(100).splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith(" dimensions"))
    report = synthetic.report()
    measured = [axis for axis in report.axes if axis not in sections.unmeasured(report)]
    assert lines[start].split() == [str(len(measured)), "of", "13", "dimensions"]
    shown = lines[start + 1 : start + 1 + len(measured)]
    performance = next(line for line in shown if line.strip().startswith("Performance"))
    assert performance.split()[1:] == ["0.89", "\u2588" * 9, "89.3", "%", "Top-1", "accuracy"]
    assert any("no score, missing: Peak activation memory" in line for line in shown)
    assert lines.index(next(line for line in lines if line.startswith("Not measured"))) > start + len(measured)


def test_a_run_of_one_dimension_has_no_overview() -> None:
    report = synthetic.report()
    out = io.StringIO()
    Console(file=out, width=80).print(full_listing(dataclasses.replace(report, records=[r for r in report.records if r.evaluator == "accuracy"])))
    assert "dimensions" not in out.getvalue()


def test_metrics_missing_for_the_same_reason_share_a_line() -> None:
    report = synthetic.report()
    gap = next(r for r in report.records if isinstance(r.outcome, Failure) and r.outcome.metric is not None)
    assert isinstance(gap.outcome, Failure)
    assert gap.outcome.metric is not None
    other = dataclasses.replace(gap, outcome=dataclasses.replace(gap.outcome, metric=dataclasses.replace(gap.outcome.metric, name="another_metric")))
    out = io.StringIO()
    Console(file=out, width=400).print(full_listing(dataclasses.replace(report, records=[*report.records, other])))
    assert out.getvalue().count(gap.outcome.message) == 1
    assert "Median latency; Another" in out.getvalue()
