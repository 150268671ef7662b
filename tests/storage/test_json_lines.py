import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.storage.json_lines import JsonLines

ROWS = st.lists(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3), min_size=1, max_size=4)


@pytest.fixture
def log(tmp_path: Path) -> JsonLines:
    return JsonLines(tmp_path / "folder" / "rows.jsonl")


def test_a_file_that_does_not_exist_holds_nothing(log: JsonLines) -> None:
    assert log.read().objects == []
    assert not log.path.exists()


@given(ROWS, st.data())
def test_a_file_torn_anywhere_keeps_its_whole_lines_and_can_go_on(tmp_path_factory: pytest.TempPathFactory, rows: list[dict], data: st.DataObject) -> None:
    log = JsonLines(tmp_path_factory.mktemp("lines") / "rows.jsonl")
    ends = []
    for row in rows:
        log.append([row])
        ends.append(log.path.stat().st_size)
    cut = data.draw(st.integers(0, ends[-1]))
    log.path.write_bytes(log.path.read_bytes()[:cut])
    whole = [row for row, end in zip(rows, ends, strict=True) if end <= cut + 1]  # the last newline is not needed
    assert log.read().objects == whole
    assert log.read().corrupt == 0  # an unfinished line is not a corrupt one
    log.append([{"after": 1}, {"after": 2}])
    again = log.read()
    assert again.objects == [*whole, {"after": 1}, {"after": 2}]
    assert again.corrupt == int(cut not in {0, *ends, *(end - 1 for end in ends)})


@given(st.lists(ROWS, min_size=1, max_size=4), st.data())
def test_reading_on_from_the_end_of_an_earlier_pass_gives_each_row_once(tmp_path_factory: pytest.TempPathFactory, appends: list[list[dict]], data) -> None:
    log = JsonLines(tmp_path_factory.mktemp("lines") / "rows.jsonl")
    for rows in appends:
        log.append(rows)
    content = log.path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    log.path.write_bytes(content[:cut])
    first = log.read()
    log.path.write_bytes(content)  # the writer goes on where the reader came upon it
    rest = log.read(first.end)
    assert first.objects + rest.objects == [row for rows in appends for row in rows]
    assert first.corrupt + rest.corrupt == 0


def test_lines_that_hold_no_object_are_counted(log: JsonLines) -> None:
    log.append([{"a": 1}])
    with log.path.open("ab") as file:
        file.write(b'{"torn\n[1]\n\xff\n\n{"b":2}\n')
    found = log.read()
    assert found.objects == [{"a": 1}, {"b": 2}]
    assert found.corrupt == 3


def test_numbers_that_json_does_not_know_are_refused_before_anything_is_written(log: JsonLines) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        log.append([{"a": 1}, {"a": math.nan}])
    assert not log.path.exists()
