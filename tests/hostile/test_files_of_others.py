"""Whatever is wrong with a file that some program wrote ends as one sentence with a stable code, or the file is taken: nothing else."""

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from damage import FILES, MISSING, WRONG, places, with_value
from kinds import HEADER, KINDS, MEASURED, MISSED, REPORT, Kind

from efficient360.core.outcome import to_json
from efficient360.errors import Efficient360Error, RunError
from efficient360.reports import html
from efficient360.reports.folder import read
from efficient360.reports.terminal import full_listing as summary
from efficient360.storage.outcomes import Store
from efficient360.storage.per_example import read_examples

pytestmark = pytest.mark.timeout(60)
ENDURED = 400 * 2**20
"""Bytes that this process may grow by, whatever a file says."""


def _told(error: Efficient360Error) -> None:
    assert error.code
    assert error.hint
    assert "\n" not in error.message
    assert len(error.message) < 1000


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _attempt(kind: Kind, path: Path) -> bool:
    """Whether the file is taken."""
    try:
        kind.read(path)
    except Efficient360Error as error:
        _told(error)
        return False
    return True


def _cases(kind: Kind) -> list[Any]:
    return [pytest.param(kind, place, id=f"{kind.name}: {'.'.join(map(str, place))}") for place in places(kind.data)]


@pytest.mark.parametrize("kind", [*KINDS, HEADER], ids=lambda kind: kind.name)
def test_the_sound_file_is_taken(kind: Kind, tmp_path: Path) -> None:
    kind.read(kind.write(tmp_path, kind.encode(kind.data)))


@pytest.mark.parametrize("damage", FILES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_told(kind: Kind, damage: str, tmp_path: Path) -> None:
    sound = kind.encode(kind.data)
    path = kind.write(tmp_path, sound)
    path.unlink()
    FILES[damage](path, sound)
    before = _peak()
    taken = _attempt(kind, path)
    assert _peak() - before < ENDURED
    # What is no sound file of any kind; a link to nowhere is no file at all.
    optional = ("columns of scores", "part of a split", "transformers' processor", "a native processor of transformers")
    assert (
        not taken
        or (damage == "a link to itself" and kind.name in optional)
        or damage in ("half", "a text", "null", "a list", "a long number", "empty", "half a character", "nested deeply, and closed")
    )


@pytest.mark.parametrize(("kind", "place"), [case for kind in (*KINDS, HEADER) if kind.data is not None for case in _cases(kind)])
def test_a_wrong_value_anywhere_is_told_or_taken(kind: Kind, place: tuple[str | int, ...], tmp_path: Path) -> None:
    for value in (*WRONG, MISSING):
        _attempt(kind, kind.write(tmp_path, kind.encode(with_value(kind.data, place, value))))


@pytest.mark.parametrize("name", ["x" * 300 + ".yaml", "no\0such.yaml", "x/" * 3000 + "y.yaml"], ids=["long", "null byte", "deep"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in ("data set card", "protocol", "zoo")], ids=lambda kind: kind.name)
def test_a_name_that_no_file_system_takes(kind: Kind, name: str, tmp_path: Path) -> None:
    assert not _attempt(kind, tmp_path / name)


@pytest.mark.parametrize("record", [MEASURED, MISSED], ids=["measurement", "failure"])
def test_lines_of_a_wrong_type_are_counted_and_cost_nothing_else(record: Any, tmp_path: Path) -> None:
    sound = json.loads(json.dumps(to_json(record)))
    store, seen = Store(tmp_path), 0
    for place in places(sound):
        for value in (*WRONG, MISSING):
            with store.path.open("ab") as file:
                file.write(json.dumps(with_value(sound, place, value)).encode() + b"\n")
    for line in (b"[" * 200_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"\xff\xfe", b'{"kind": "\\ud800"}', b"1" * 5000):
        with store.path.open("ab") as file:
            file.write(line + b"\n")
        seen += 1
    store.append([MEASURED])
    kept = store.groups()
    assert store.corrupt_lines() > seen
    assert kept[-1] == [MEASURED]
    for group in kept:  # what is taken can be stored again
        json.dumps([to_json(one) for one in group], allow_nan=False)


def test_a_line_of_a_wrong_type_blocks_no_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    sound = json.dumps(to_json(MEASURED))
    (tmp_path / "outcomes.jsonl").write_text(f'{{"kind": "measurement", "evaluator": []}}\n{sound}\n')
    assert [record.evaluator for record in read(tmp_path, ()).records] == ["accuracy"]


@pytest.mark.parametrize("damage", ["a folder", "a pipe", "a device", "a link to itself", "4 TB"])
def test_outcomes_that_are_no_file(damage: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    FILES[damage](tmp_path / "outcomes.jsonl", b"")
    if damage == "a link to itself":
        assert read(tmp_path, ()).records
        return
    with pytest.raises(RunError) as caught:
        read(tmp_path, ())
    assert caught.value.code == "unreadable-run"


PAGES = [place for place in places(REPORT) if place[0] in ("checkpoint", "dataset", "environment", "protocol", "command")]


@pytest.mark.parametrize("place", PAGES, ids=lambda place: ".".join(map(str, place)))
def test_what_is_taken_can_be_drawn(place: tuple[str | int, ...], tmp_path: Path) -> None:
    for value in WRONG[::3]:
        (tmp_path / "report.json").write_text(json.dumps(with_value(REPORT, place, value)))
        try:
            report = read(tmp_path, ())
        except RunError as error:
            _told(error)
            continue
        summary(report, tmp_path)
        html.render(report)


def _table(path: Path, **columns: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sound = {"id": ["a"], "evaluator": ["accuracy"], "metric": ["top1"], "conditions": ["{}"], "value": [1.0]}
    pq.write_table(pa.table({name: values for name, values in {**sound, **columns}.items() if values is not None}), path)


def test_examples_are_read(tmp_path: Path) -> None:
    assert read_examples(tmp_path) == {}
    _table(tmp_path / "examples.parquet")
    assert read_examples(tmp_path) == {("accuracy", "top1", "{}"): {"a": 1.0}}


@pytest.mark.parametrize("damage", [d for d in FILES if d != "a link to itself"])
def test_examples_that_are_damaged(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "examples.parquet"
    _table(path)
    sound = path.read_bytes()
    path.unlink()
    FILES[damage](path, sound)
    with pytest.raises(RunError) as caught:
        read_examples(tmp_path)
    assert caught.value.code == "unreadable-examples"
    _told(caught.value)


@pytest.mark.parametrize(
    "columns",
    [
        {"value": [None]},
        {"value": ["x"]},
        {"value": [float("nan")]},
        {"value": [1]},
        {"id": [None]},
        {"id": [3]},
        {"metric": [["a"]]},
        {"value": None},
        {"conditions": [{"a": 1}]},
    ],
    ids=str,
)
def test_examples_of_other_types(columns: dict[str, Any], tmp_path: Path) -> None:
    _table(tmp_path / "examples.parquet", **columns)
    with pytest.raises(RunError) as caught:
        read_examples(tmp_path)
    assert caught.value.code == "unreadable-examples"


def test_examples_of_more_rows_than_a_file_can_hold(tmp_path: Path) -> None:
    n = 300_000
    _table(tmp_path / "examples.parquet", id=["a"] * n, evaluator=["e"] * n, metric=["m"] * n, conditions=["{}"] * n, value=[1.0] * n)
    with pytest.raises(RunError, match="more than it can hold") as caught:
        read_examples(tmp_path)
    assert caught.value.code == "unreadable-examples"
