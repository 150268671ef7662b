import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.measurement import ONE, Better, Failure, Measurement, Metric, Status
from efficient360.core.outcome import Record, from_json
from efficient360.errors import RunError
from efficient360.storage.outcomes import Store, write_atomically

METRIC = Metric("top1", ONE, Better.HIGHER, "Right or wrong.", low=0, high=1)


def group(evaluator: str, size: int, value: float = 0.5, key: str = "") -> list[Record]:
    return [Record(evaluator, Measurement(METRIC, value, conditions={"i": i}), key or f"{evaluator}-k", (i, size)) for i in range(size)]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_a_file_torn_anywhere_keeps_its_whole_groups_and_can_go_on(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject) -> None:
    store = Store(tmp_path_factory.mktemp("run"))
    ends = []
    for i, size in enumerate(sizes):
        store.append(group(f"e{i}", size))
        ends.append(store.path.stat().st_size)
    whole = store.path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    store.path.write_bytes(whole[:cut])
    survivors = [g[0].evaluator for g in store.groups()]
    assert survivors == [f"e{i}" for i, end in enumerate(ends) if end <= cut + 1]  # the last newline is not needed
    store.append(group("after", 2))
    assert [g[0].evaluator for g in store.groups()] == [*survivors, "after"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").groups() == []


def header(checkpoint: str, data: str | None) -> dict:
    return {"checkpoint": {"digest": checkpoint}, "dataset": None if data is None else {"digest": data}}


def test_a_folder_is_one_checkpoints_on_one_data_set(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.require_same(header("a", "d"))
    (tmp_path / "report.json").write_text(json.dumps(header("a", "d")))
    store.require_same(header("a", "d"))
    with pytest.raises(RunError, match=r"holds an evaluation of another checkpoint \(a…, this one has b…\)"):
        store.require_same(header("b", "d"))
    with pytest.raises(RunError, match=r"holds an evaluation on other data \(d…, this one has none\)"):
        store.require_same(header("a", None))
    (tmp_path / "report.json").write_text("{torn")
    store.require_same(header("b", "d"))


def test_another_subset_of_the_same_data_is_called_that(tmp_path: Path) -> None:
    def drawn(digest: str, examples: int, available: int = 900) -> dict:
        return {"checkpoint": {"digest": "a"}, "dataset": {"digest": digest, "name": "digits", "split": "test", "examples": examples, "available": available}}

    (tmp_path / "report.json").write_text(json.dumps(drawn("d", 100)))
    with pytest.raises(RunError, match="on another subset of the same data"):
        Store(tmp_path).require_same(drawn("e", 100))
    with pytest.raises(RunError, match="on other data"):
        Store(tmp_path).require_same(drawn("e", 100, available=901))


def test_latest_and_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(group("a", 1, 0.1, "k1"))
    store.append(group("a", 1, 0.2, "k2"))
    store.append(group("a", 1, 0.3, "k1"))
    assert store.latest("a")[0].outcome.value == 0.3
    assert store.latest("a", "k2")[0].outcome.value == 0.2
    assert store.latest("b") == []
    for status, again in ((Status.FAILED, True), (Status.NOT_RUN, True), (Status.UNSUPPORTED, False)):
        store.append([Record("a", Failure(status, "code", "why"), "k3")])
        assert (store.finished("a", "k3") == []) is again


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [f.name for f in tmp_path.iterdir()] == ["a"]


def _hold(folder: Path, held, release) -> None:
    with Store(folder).writer():
        held.set()
        release.wait(60)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(60)
    with pytest.raises(RunError, match="another evaluation is writing to"), Store(tmp_path).writer(wait=0.2):
        pass
    release.set()
    other.join()
    with Store(tmp_path).writer(wait=0.2):
        pass


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="can't be written"), Store(tmp_path / "file").writer():
        pass


def test_the_newest_group_of_each_planned_ones_under_their_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for evaluator, key, value in (("a", "k1", 0.1), ("b", "k", 0.2), ("a", "k2", 0.3), ("c", "old", 0.4)):
        store.append(group(evaluator, 1, value, key))
    found = store.newest({"c": "new", "b": "k", "a": "k1"})
    assert [(name, g[0].outcome.value) for name, g in found.items()] == [("b", 0.2), ("a", 0.1)]
    assert {name: g[0].outcome.value for name, g in store.newest({}).items()} == {"a": 0.3, "b": 0.2, "c": 0.4}


def test_what_was_read_once_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def counted(row):
        parsed.append(row)
        return from_json(row)

    monkeypatch.setattr("efficient360.storage.outcomes.codec.from_json", counted)
    store = Store(tmp_path)
    for i in range(5):
        store.append(group(f"e{i}", 2))
        assert store.latest(f"e{i}")[0].evaluator == f"e{i}"
    assert len(parsed) == 10
    Store(tmp_path).append(group("other-writer", 1))
    assert [g[0].evaluator for g in store.groups()] == [*(f"e{i}" for i in range(5)), "other-writer"]
    assert len(parsed) == 11


def test_a_file_that_became_shorter_is_read_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("a", "b"):
        store.append(group(name, 1))
    assert len(store.groups()) == 2
    store.path.write_bytes(store.path.read_bytes().partition(b"\n")[0] + b"\n")
    assert [g[0].evaluator for g in store.groups()] == ["a"]


def test_lines_that_hold_no_outcome_are_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(group("a", 1))
    assert store.corrupt_lines() == 0
    with store.path.open("ab") as file:
        file.write(b'not json\n{"kind": "guess"}\n[1, 2]\n')
    store.append(group("b", 1))
    assert store.corrupt_lines() == 3
    assert [g[0].evaluator for g in store.groups()] == ["a", "b"]
