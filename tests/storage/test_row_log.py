from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.storage.row_log import RowLog


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 4), st.integers(0, 200))
def test_what_is_left_after_a_kill_is_whole_rows(tmp_path_factory: pytest.TempPathFactory, blocks: list[int], width: int, torn_at: int) -> None:
    log = RowLog(tmp_path_factory.mktemp("log") / "rows", width, "float64")
    rows = np.arange(sum(blocks) * width, dtype=np.float64).reshape(-1, width)
    start = 0
    for size in blocks:
        log.append(rows[start : start + size])
        start += size
    assert np.array_equal(log.read(0, len(rows)), rows)
    if log.path.exists():
        data = log.path.read_bytes()
        log.path.write_bytes(data[: min(torn_at, len(data))])
    kept = len(log)
    log.truncate(kept)
    assert np.array_equal(log.read(0, kept), rows[:kept])
    log.append(rows[kept:])
    assert np.array_equal(log.read(0, len(rows)), rows)


def test_reading_beyond_the_end_gives_what_there_is(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "rows", 2)
    assert log.read(0, 5).shape == (0, 2)
    log.append(np.ones((3, 2)))
    assert log.read(2, 9).shape == (1, 2)
    assert log.read(7, 9).shape == (0, 2)


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="don't fit a log of width 2"):
        RowLog(tmp_path / "rows", 2).append(np.ones((3, 4)))
