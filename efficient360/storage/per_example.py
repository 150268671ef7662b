"""``examples.parquet``: the value of every example under every metric, for paired tests and for looking at single examples."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Conditions
from efficient360.storage.outcomes import write_atomically
from efficient360.storage.row_log import RowLog

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
        """Metric name and conditions of each column; empty before the first batch."""
        file = self.folder / COLUMNS
        if not file.exists():
            return []
        return [(name, conditions) for name, conditions in json.loads(file.read_text(encoding="utf-8"))]

    def open(self, columns: Sequence[tuple[str, Conditions]]) -> RowLog:
        """The log of these columns, begun anew if it was kept for others."""
        wanted = [[name, dict(conditions)] for name, conditions in columns]
        if wanted != [[name, dict(conditions)] for name, conditions in self.columns()]:
            (self.folder / SCORES).unlink(missing_ok=True)
            write_atomically(self.folder / COLUMNS, json.dumps(wanted).encode())
        return RowLog(self.folder / SCORES, len(wanted), "float64")

    def note(self, part: Sequence[str]) -> None:
        """Keep which examples the rows are of, where they are a part of the split."""
        write_atomically(self.folder / PART, json.dumps(list(part)).encode())

    def part(self) -> list[str]:
        """Example ids of the rows in order, where they are a part of the split; empty where they are all of it."""
        file = self.folder / PART
        ids: list[str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        return ids

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
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for evaluator, metric, conditions, part, values in _columns(scored):
            n = len(values)
            names = [pa.array([name], pa.string()) for name in (evaluator, metric, conditions)]
            coded = [pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), name) for name in names]
            writer.write_table(pa.Table.from_arrays([pa.array((part or ids)[:n], pa.string()), *coded, pa.array(values)], schema=schema))
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
    """Value by example id, by (evaluator, metric, conditions as JSON); empty when the run has no table."""
    import pyarrow.parquet as pq

    path = folder / EXAMPLES
    if not path.exists():
        return {}
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for batch in pq.ParquetFile(path).iter_batches():
        columns = [batch.column(name).to_pylist() for name in ("evaluator", "metric", "conditions", "id", "value")]
        for evaluator, metric, conditions, example, value in zip(*columns, strict=True):
            values.setdefault((evaluator, metric, conditions), {})[example] = value
    return values
