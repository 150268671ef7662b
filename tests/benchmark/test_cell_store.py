import json

import pytest
from made_cells import NOISY, made_cell

from efficient360.benchmark.cells import BenchmarkCell, cell_key, from_json, to_json
from efficient360.benchmark.store import CellStore
from efficient360.cli.parser import run_command
from efficient360.errors import RunError


@pytest.fixture
def store(tmp_path):
    found = CellStore(tmp_path / "matrix")
    found.prepare()
    return found


def test_cells_come_back_as_they_went(store):
    cells = [made_cell("a", findings=[NOISY]), made_cell("b", gap="aten.roll is not supported"), made_cell("c", macs=None, passed=False)]
    store.append(cells)
    assert store.cells() == cells


def test_a_torn_last_line_is_passed_over_and_the_next_cell_starts_afresh(store):
    store.append([made_cell("a"), made_cell("b")])
    path = store.folder / "cells.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert [cell.model.name for cell in store.cells()] == ["a"]
    store.append([made_cell("c")])
    assert [cell.model.name for cell in store.cells()] == ["a", "c"]


def test_of_one_key_the_newest_stands(store):
    store.append([made_cell("a", p50=0.1)])
    store.append([made_cell("a", p50=0.2)])
    assert [cell.measured.p50 for cell in store.cells()] == [0.2]
    assert list(store.finished()) == ["a-litert-fp32-local-1"]


def test_a_folder_without_cells_is_told(tmp_path):
    with pytest.raises(RunError, match="holds no measured cells") as caught:
        CellStore(tmp_path).cells()
    assert caught.value.code == "no-cells"
    assert CellStore(tmp_path).finished() == {}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as caught:
        CellStore(tmp_path / "file" / "matrix").prepare()
    assert caught.value.code == "unwritable-folder"


def test_artefacts_are_kept_from_git(store):
    assert "artefacts/" in (store.folder / ".gitignore").read_text().splitlines()


def test_a_cell_has_numbers_or_a_reason():
    whole = made_cell()
    with pytest.raises(ValueError, match="neither"):
        BenchmarkCell(**{**vars(whole), "measured": None})
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole


def test_a_key_changes_with_all_that_a_number_depends_on():
    one = made_cell()
    base = (("id", (3, 32, 32)), one.target, "code", one.device, one.schedule, 1)
    others = [
        (("other", (3, 32, 32)), *base[1:]),
        (("id", (3, 64, 64)), *base[1:]),
        (base[0], type(one.target)(**{**vars(one.target), "version": "2"}), *base[2:]),
        (base[0], type(one.target)(**{**vars(one.target), "threads": 1}), *base[2:]),
        (*base[:2], "other code", *base[3:]),
        (*base[:3], type(one.device)(**{**vars(one.device), "cores": 1}), *base[4:]),
        (*base[:4], type(one.schedule)(runs=7), 1),
        (*base[:5], 2),
    ]
    keys = [cell_key(*parts) for parts in (base, *others)]
    assert len(set(keys)) == len(keys)
    assert cell_key(*base) == keys[0]


def test_lines_that_hold_no_cell_are_counted_and_told_by_the_command(store, capsys):
    store.append([made_cell("a")])
    assert store.corrupt_lines() == 0
    with (store.folder / "cells.jsonl").open("a", encoding="utf-8") as file:
        file.write("not json\n{}\n")
    assert store.corrupt_lines() == 2
    assert run_command(["benchmark", "--out", str(store.folder)]) == 0
    assert f"2 lines of {store.folder}/cells.jsonl can't be read and are left out" in capsys.readouterr().err
