import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from efficient360.core.measurement import Interval
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.reports.export.data_rows import COLUMNS, as_csv, as_json, as_parquet
from efficient360.reports.export.reading_tables import names_once, reading_table
from efficient360.reports.export.selected import Content, Exported, exported
from efficient360.reports.report import Report
from efficient360.reports.run_report import RunReport
from efficient360.reports.text_tables import to_latex, to_markdown
from gate_runs import AUC, COMPRESSION, LATENCY, NLL, ROBUST, TOP1, exact, failed, measured, run, void


def report(name: str, top1: float, examples: int = 100) -> Report:
    told = measured("accuracy", TOP1, top1, examples, wilson(round(top1 * examples), examples))
    return run(
        [
            told,
            measured("adversarial", ROBUST, 0.5, 64, wilson(32, 64), epsilon="4/255"),
            measured("adversarial", ROBUST, 0.75, 64, wilson(48, 64), epsilon="1/255"),
            void("membership", AUC, 0.6, "a blind baseline does as well"),
            measured("latency", LATENCY, 0.0015, 60, Interval(0.0009, 0.0021, "student-t over 3 processes")),
            exact(NLL, 0.25),
            failed("stability", None, "needs sequences"),
        ],
        name=name,
    ).report


A, B = report("A", 0.9), report("=B_1", 0.8, 50)


def chosen(**others: str | Content) -> Exported:
    return exported([("A", "runs/a", A), ("=B_1", "runs/b", B)], **others)  # type: ignore[arg-type]


def test_csv_reads_back_with_every_number_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(chosen(content=Content.METRICS)), newline="")))
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == len(A.records) + len(B.records)
    first = rows[0]
    assert (first["run"], first["metric"], float(first["value"]), int(first["n"])) == ("A", "top1", 0.9, 100)
    assert float(first["low"]) == A.records[0].outcome.interval.low
    assert rows[-1]["status"], rows[-1]["value"] == ("unsupported", "")
    assert {row["run"] for row in rows} == {"A", "'=B_1"}
    assert {row["status"] for row in rows} == {"measured", "void", "unsupported"}


def test_json_and_parquet_read_back_as_the_same_rows(tmp_path: Path) -> None:
    rows = json.loads(as_json(chosen(axis="robustness")))
    (tmp_path / "x.parquet").write_bytes(as_parquet(chosen(axis="robustness")))
    table = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["conditions"] for row in rows] == [{"epsilon": "4/255"}, {"epsilon": "1/255"}] * 2
    assert [row["value"] for row in rows] == [row["value"] for row in table] == [0.5, 0.75] * 2
    assert [json.loads(row["conditions"]) for row in table] == [row["conditions"] for row in rows]


def test_scores_are_exported_with_their_intervals() -> None:
    rows = json.loads(as_json(chosen(content=Content.SCORES)))
    assert [(row["run"], row["axis"]) for row in rows[:3]] == [("A", "performance"), ("A", "robustness"), ("A", "privacy")]
    assert rows[0]["low"] < rows[0]["score"] == 0.9 < rows[0]["high"]
    assert rows[2]["score"] is None


def cells(markdown: str) -> list[list[str]]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    texts = ["".join(child.content for child in t.children or []) for t in tokens if t.type == "inline" and t.level == 4]
    width = sum(t.type == "th_open" for t in tokens)
    return [texts[i : i + width] for i in range(0, len(texts), width)]


def test_a_table_has_the_runs_as_columns_and_no_number_for_what_is_void_or_missing() -> None:
    table = cells(to_markdown(reading_table(chosen())))
    assert table[0] == ["Axis", "Metric", "A", "=B_1"]
    assert table[1] == ["Performance", "Top-1 accuracy", "90.0 % [82.6, 94.5]", "80.0 % [67.0, 88.8]†"]
    assert table[2][:2] == ["Robustness", "Robust accuracy, ε = 4/255"]
    assert table[3][2:] == ["void", "void"]


def test_values_measured_differently_are_marked_and_said_so() -> None:
    notes = reading_table(chosen()).notes
    assert "† measured differently in =B_1, examples 100 against 50: accuracy." in notes
    assert "void: a blind baseline does as well." in notes
    assert "95 % intervals in brackets; n = 50 to 100." in notes


def test_units_stay_where_the_ends_of_an_interval_differ_in_them() -> None:
    table = reading_table(chosen(metric="latency_p50"))
    assert table.rows[0][-1] == "1.50 ms [900 µs, 2.10 ms]"
    assert reading_table(chosen(metric="latency_p50"), intervals=False).rows[0][-1] == "1.50 ms"


def test_latex_holds_every_row_of_the_table() -> None:
    table = reading_table(chosen(axis="robustness"))
    text = to_latex(table, "tab:robust")
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 1 + len(table.rows)
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(table.columns) - 1}
    assert r"=B\_1" in lines[0]
    assert r"\label{tab:robust}" in text
    assert text.count("{") == text.count("}")


def test_a_bound_of_an_axis_is_said_below_its_values() -> None:
    name = "best_compression"
    loose = run([dataclasses.replace(measured("compression", COMPRESSION, 4.0), settings={"bits": 8})], name="loose").report
    (told,) = [note for note in reading_table(exported([("loose", "runs/l", loose)], metric=name)).notes if "bound" in note]
    assert told == "Approximation, lower bound: compression with other bits than the axis takes; score ≥ 0.33 (loose)."
    assert not any("bound" in note for note in reading_table(chosen(metric="top1")).notes)


def test_a_metric_that_no_run_has_keeps_its_line_and_its_reason() -> None:
    lacking = run([measured("accuracy", TOP1, 0.9), failed("membership", AUC, "there is no training split")]).report
    table = reading_table(exported([("A", "runs/a", lacking)], content=Content.METRICS))
    assert [row[-1] for row in table.rows if "AUC" in row[0]] == ["–"]
    assert "Membership inference AUC: there is no training split." in table.notes


def test_a_paper_s_table_names_a_metric_once() -> None:
    table = reading_table(chosen(axis="robustness"))
    assert [row[0] for row in table.rows] == ["Robust accuracy"] * 2
    assert [row[0] for row in names_once(table).rows] == ["Robust accuracy", ""]
    assert RunReport(A, Path("runs/a")).to_latex(axis="robustness").count("Robust accuracy") == 1


def test_two_runs_of_one_checkpoint_are_told_apart() -> None:
    assert exported([("A", "runs/a", A), ("A", "runs/b", A)]).names == ["A (runs/a)", "A (runs/b)"]
    assert exported([("A", "runs/a", A), ("A", "runs/a", A)]).names == ["A (runs/a) #1", "A (runs/a) #2"]


@pytest.mark.parametrize(
    ("axis", "metric", "code", "hint"),
    [
        ("robustnes", "", "unknown-dimension", "robustness"),
        ("", "robust_acuracy", "unknown-metric", "robust_accuracy"),
        ("robustness", "top1", "unknown-metric", "it belongs to performance"),
    ],
)
def test_names_that_nothing_has_are_refused_with_the_nearest(axis: str, metric: str, code: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        chosen(axis=axis, metric=metric)
    assert refused.value.code == code
    assert hint in refused.value.hint


def test_a_report_gives_its_own_tables() -> None:
    ours, other = RunReport(A, Path("runs/a")), RunReport(B, Path("runs/b"))
    assert cells(ours.to_markdown(other))[0] == ["Axis", "Metric", "A", "=B_1"]
    assert r"\caption{Robustness}" in ours.to_latex(axis="robustness")
    assert len(list(csv.DictReader(io.StringIO(ours.to_csv(), newline="")))) == len(A.records)
    assert cells(ours.to_markdown(content="scores"))[1][0] == "Performance"
    with pytest.raises(SettingsError) as refused:
        ours.to_latex(content="everything")
    assert refused.value.code == "bad-option"
