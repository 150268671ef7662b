"""What another run measured with an evaluator, read from its report, where it was measured as ours was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.figures import Table
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.corruptions.protocol import differences


@final
@dataclass(frozen=True)
class Measured:
    """One value of another run under its conditions."""

    value: float
    conditions: Mapping[str, Any]


@final
@dataclass(frozen=True)
class OtherRun:
    """What another run measured.

    Args:
        name: Of its checkpoint.
        measured: Values of the metric that was asked for.
    """

    name: str
    measured: Sequence[Measured]


def other_run(path: Path, evaluator: str, metric: str, protocol: Table) -> OtherRun:
    """The values of one metric in a report.

    Args:
        path: Of a ``report.json``.
        evaluator: Which evaluator's.
        metric: Which metric's.
        protocol: How ours were taken: a table that the evaluator leaves in every report.

    Raises:
        SettingsError: The file can't be read as a report, or holds no such values.
        Unsupported: They were taken otherwise.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        name = str(report["checkpoint"]["name"])
        own = [o for o in report["outcomes"] if o["kind"] == "measurement" and o["evaluator"] == evaluator]
        tables = [figure for outcome in own for figure in outcome.get("extra", ()) if figure.get("title") == protocol.title]
        measured = [Measured(float(o["value"]), dict(o["conditions"])) for o in own if o["metric"] == metric]
        rows: Any = tables[0]["rows"] if tables else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError("bad-reference", f"{path} is no report of a run", "give the report.json in the run's folder") from error
    if rows is None or not measured:
        raise SettingsError("bad-reference", f"the run in {path} holds no {evaluator} results", f"evaluate {evaluator} there first, with the same settings")
    if wrong := differences(protocol, rows):
        message = f"the run in {path} measured {evaluator} otherwise: {', '.join(wrong)} differ"
        raise Unsupported("other-protocol", message, "evaluate both models with the same data, settings and seed")
    return OtherRun(name, measured)
