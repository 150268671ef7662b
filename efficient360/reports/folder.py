"""A run's folder: ``report.json`` and ``report.html`` written atomically, and the report read back without a model."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from efficient360.core.outcome import Record
from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.dimensions.dimension import Dimension
from efficient360.errors import RunError
from efficient360.reports import html
from efficient360.reports.report import Report, State, axes_of, from_json, reached, to_json
from efficient360.storage.outcomes import REPORT, Store, write_atomically
from efficient360.storage.writing import into

PAGE = "report.html"
AGAINST: Final = "against-"
"""How the names of pages begin that lay other runs over this one; :func:`save` links to those that lie in the folder."""
_READER: Final = Reader(RunError, "unreadable-run", "run the same evaluation again: stored outcomes are reused", limit=1024 * MEBIBYTE)


def assemble(header: Mapping[str, Any], records: Sequence[Record], dimensions: Sequence[Dimension], planned: Sequence[str]) -> Report:
    """Build a report from stored outcomes.

    Args:
        header: Checkpoint, dataset, environment, protocol, command, creation time and, where there are some, findings.
        records: Stored outcomes.
        dimensions: Dimensions of the radar.
        planned: Evaluators that must have an outcome for the report to be complete.
    """
    state: State = "complete" if set(planned) <= reached(records) else "incomplete"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    plain = {key: header[key] for key in ("created", "command", "checkpoint", "dataset", "environment", "protocol")}
    findings = tuple(header.get("findings", ()))
    return Report(state=state, updated=now, records=records, axes=axes_of(dimensions, records), findings=findings, **plain)


def stored_records(store: Store, keys: Mapping[str, str]) -> list[Record]:
    """The newest outcomes of each evaluator: planned ones under their key and in their order, then those of other evaluators from earlier runs."""
    return [record for group in store.newest(keys).values() for record in group]


def save(report: Report, folder: Path) -> None:
    """Write ``report.json`` and ``report.html``.

    Raises:
        RunError: The folder can't be written.
    """
    with into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / REPORT, json.dumps(to_json(report), ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8", "replace"))
        compared = {f"Compared with {page.stem.removeprefix(AGAINST)}": page.name for page in sorted(folder.glob(f"{AGAINST}*.html"))}
        write_atomically(folder / PAGE, html.render(report, compared).encode("utf-8", "replace"))


def read(folder: Path, dimensions: Sequence[Dimension]) -> Report:
    """The report of a run's folder, rebuilt from its stored outcomes.

    Raises:
        RunError: The folder is not a run, or it can't be read.
    """
    path = folder / REPORT
    if not exists(path):
        raise RunError("no-run", f"{folder} has no {REPORT}", "give the folder that efficient360 evaluate wrote")
    try:
        stored = from_json(_READER.from_json(_READER.read_bytes(path), path), dimensions)
    except ValueError as error:
        raise _READER.refuse(path, f"is no report{error}") from error
    planned = list(stored.protocol.get("evaluators", {}))
    order = {name: i for i, name in enumerate(planned)}
    records = sorted(stored_records(Store(folder), {}), key=lambda r: order.get(r.evaluator, len(order))) or list(stored.records)
    header = {f.name: getattr(stored, f.name) for f in dataclasses.fields(stored)}
    return dataclasses.replace(assemble(header, records, dimensions, planned), updated=stored.updated)
