"""Values of a reference run, read from its report and checked to have been measured under the same protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from efficient360.core.figures import Table
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import SettingsError, Unsupported


@final
@dataclass(frozen=True)
class ReferenceValue:
    """One value of the reference run under its conditions."""

    value: float
    conditions: Mapping[str, Any]


@final
@dataclass(frozen=True)
class ReferenceRun:
    """The values of one metric in another run.

    Args:
        name: Of its checkpoint.
        values: One for each set of conditions.
    """

    name: str
    values: Sequence[ReferenceValue]


_READER: Final = Reader(SettingsError, "bad-reference", "give the report.json in the run's folder", limit=1024 * MEBIBYTE)


def read_reference_run(path: Path, evaluator: str, metric: str, protocol: Table) -> ReferenceRun:
    """The values of one metric in a report.

    Args:
        path: Of a ``report.json``.
        evaluator: Name of the evaluator.
        metric: Name of the metric.
        protocol: The protocol of this run's values: a table that the evaluator leaves in every report.

    Raises:
        SettingsError: The file is not a readable report, or has no such values.
        Unsupported: The reference run followed another protocol.
    """
    try:
        report = _READER.from_json(_READER.read_bytes(path), path)
        name = str(report["checkpoint"]["name"])
        outcomes = [o for o in report["outcomes"] if o["kind"] == "measurement" and o["evaluator"] == evaluator]
        tables = [figure for outcome in outcomes for figure in outcome.get("extra", ()) if figure.get("title") == protocol.title]
        values = [ReferenceValue(float(o["value"]), dict(o["conditions"])) for o in outcomes if o["metric"] == metric]
        rows: Any = tables[0]["rows"] if tables else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _READER.refuse(path, "is not the report of a run") from error
    if rows is None or not values:
        raise SettingsError("bad-reference", f"the run in {path} has no {evaluator} results", f"evaluate {evaluator} there first, with the same settings")
    if differing := differing_rows(protocol, rows):
        message = f"the run in {path} measured {evaluator} under another protocol: {', '.join(differing)} differ"
        raise Unsupported("other-protocol", message, "evaluate both models with the same data, settings and seed")
    return ReferenceRun(name, values)


def differing_rows(protocol: Table, other: Sequence[Sequence[object]]) -> list[str]:
    """Names of the rows in which another run's protocol differs.

    Args:
        protocol: Of this run.
        other: Rows of the other run's table, as JSON has them.
    """
    theirs = {row[0]: row[1] for row in other if len(row) > 1 and isinstance(row[0], str)}
    return [str(row[0]) for row in protocol.rows if theirs.get(str(row[0])) != row[1]]
