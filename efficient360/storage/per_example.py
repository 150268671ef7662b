"""``examples.parquet``: the value of every example under every metric, for paired tests and for looking at single examples."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from efficient360.core.measurement import Conditions
from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader, shown
from efficient360.errors import RunError
from efficient360.storage.outcomes import write_atomically
from efficient360.storage.row_log import RowLog
from efficient360.storage.writing import into

EXAMPLES = "examples.parquet"
COLUMNS = "columns.json"
SCORES = "scores.f64"
PART = "part.json"


@final
@dataclass(frozen=True)
class ScoreLog:
    """The scores of one evaluation on disk: which columns there are, and a row an example.

    Args:
        folder: Where they are kept.
    """

    folder: Path

    def columns(self) -> list[tuple[str, Conditions]]:
        """Metric name and conditions of each column; empty before the first batch.

        Raises:
            RunError: They can't be read.
        """
        file = self.folder / COLUMNS
        if not file.exists():
            return []
        stored = _READER.validate(_COLUMNS, _READER.from_json(_READER.read_bytes(file), file), file)
        return [(name, conditions) for name, conditions in stored]

    def open(self, columns: Sequence[tuple[str, Conditions]]) -> RowLog:
        """The log of these columns, begun anew if it was kept for others."""
        wanted = [[name, dict(conditions)] for name, conditions in columns]
        if wanted != [[name, dict(conditions)] for name, conditions in self.columns()]:
            (self.folder / SCORES).unlink(missing_ok=True)
            with into(self.folder / COLUMNS):
                write_atomically(self.folder / COLUMNS, json.dumps(wanted).encode())
        return RowLog(self.folder / SCORES, len(wanted), "float64")

    def note(self, part: Sequence[str]) -> None:
        """Keep which examples the rows are of, where they are a part of the split."""
        with into(self.folder / PART):
            write_atomically(self.folder / PART, json.dumps(list(part)).encode())

    def part(self) -> list[str]:
        """Example ids of the rows in order, where they are a part of the split; empty where they are all of it."""
        file = self.folder / PART
        return _READER.validate(_IDS, _READER.from_json(_READER.read_bytes(file), file), file) if file.exists() else []

    def rows(self) -> RowLog | None:
        """The log as an earlier run left it, ``None`` when there is none."""
        columns = self.columns()
        return RowLog(self.folder / SCORES, len(columns), "float64") if columns else None


def write_examples(folder: Path, ids: Sequence[str], scored: Mapping[str, Path]) -> None:
    """Write the table anew from the score logs, whole or not at all.

    Columns: ``id``, ``evaluator``, ``metric``, ``conditions`` (JSON with sorted keys), ``value`` (float64); one row a value.

    Args:
        folder: The run's folder.
        ids: Example ids in order, for evaluators that scored them all; one that scored a part has kept which.
        scored: Folder of the score log of each evaluator that finished.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("id", pa.string()), ("evaluator", text), ("metric", text), ("conditions", text), ("value", pa.float64())])
    temporary = folder / f".{EXAMPLES}"
    with into(temporary), pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for evaluator, metric, conditions, part, values in _columns(scored):
            n = len(values)
            names = [pa.array([name], pa.string()) for name in (evaluator, metric, conditions)]
            coded = [pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), name) for name in names]
            writer.write_table(pa.Table.from_arrays([pa.array((part or ids)[:n], pa.string()), *coded, pa.array(values)], schema=schema))
    with into(folder / EXAMPLES):
        temporary.replace(folder / EXAMPLES)


def _columns(scored: Mapping[str, Path]) -> Iterator[tuple[str, str, str, Sequence[str], NDArray[Any]]]:
    for evaluator, folder in scored.items():
        log = ScoreLog(folder)
        rows = log.rows()
        if rows is not None:
            part, values = log.part(), rows.read(0, len(rows))
            for i, (metric, conditions) in enumerate(log.columns()):
                yield evaluator, metric, json.dumps(dict(conditions), sort_keys=True), part, np.ascontiguousarray(values[:, i])


def read_examples(folder: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    """Value by example id, by (evaluator, metric, conditions as JSON); empty when the run has no table.

    Raises:
        RunError: It is no such table, or can't be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / EXAMPLES
    if not exists(path):
        return {}
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    with _TABLE.open(path) as file:
        try:
            table = pq.ParquetFile(file)
            if table.metadata.num_rows > min(MOST_ROWS, ROWS_A_BYTE * path.stat().st_size):
                raise _TABLE.refuse(path, f"says that it has {table.metadata.num_rows:,} rows, more than it can hold")
            for batch in table.iter_batches():
                columns = [batch.column(name).to_pylist() for name in ("evaluator", "metric", "conditions", "id", "value")]
                for evaluator, metric, conditions, example, value in zip(*columns, strict=True):
                    if not (isinstance(value, float) and math.isfinite(value) and all(isinstance(x, str) for x in (evaluator, metric, conditions, example))):
                        raise _TABLE.refuse(path, f"has a row that is no value of an example: {shown([example, evaluator, metric, conditions, value])}")
                    values.setdefault((evaluator, metric, conditions), {})[example] = value
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise _TABLE.refuse(path, f"can't be read: {' '.join(str(error).split())[:160]}") from error
    return values


MOST_ROWS: Final = 10**8
ROWS_A_BYTE: Final = 10
"""Rows that a byte of the file can stand for: a row takes some twenty bytes, as ids differ."""
_IDS: Final = TypeAdapter(list[str])
_COLUMNS: Final = TypeAdapter(list[tuple[str, Conditions]])
_READER: Final = Reader(RunError, "unreadable-run", "delete it, and run the same evaluation again", limit=1024 * MEBIBYTE)
_TABLE: Final = Reader(RunError, "unreadable-examples", "run the same evaluation again, which writes it anew", limit=64 * 1024 * MEBIBYTE)
