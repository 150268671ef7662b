"""A run's events as they come, with the folder's report kept up to date after every evaluator."""

from collections.abc import Callable, Iterable
from typing import final

from efficient360.core.findings import Finding, findings_from_json
from efficient360.errors import RunError
from efficient360.execution.events import Event, Finished, Found, Opened
from efficient360.execution.plan import Plan
from efficient360.execution.worker import isolated
from efficient360.plugins.registry import dimensions
from efficient360.reports.card import save_card
from efficient360.reports.folder import assemble, save, stored_records
from efficient360.reports.report import Report
from efficient360.storage.outcomes import Store

Listener = Callable[[Event], None]


def run_plan(plan: Plan, listen: Listener) -> Report:
    """Run a plan in a worker process, and keep its folder's report up to date after every evaluator.

    Raises:
        Efficient360Error: As :func:`efficient360.execution.runner.run`.
    """
    return follow(plan, isolated(plan), listen)


def follow(plan: Plan, events: Iterable[Event], listen: Listener) -> Report:
    """Keep the folder's report up to date along a stream of events, and write its share card after the last one.

    Raises:
        RunError: The stream ends before anything was opened.
    """
    writer = ReportWriter(plan, listen)
    for event in events:
        writer.take(event)
    return writer.finished()


@final
class ReportWriter:
    """Writes the folder's report after every evaluator: what was measured is on disk before anybody hears of it."""

    def __init__(self, plan: Plan, listen: Listener) -> None:
        self._plan, self._listen = plan, listen
        self._axes, self._store = dimensions(plan.plugins), Store(plan.out)
        self._opened: Opened | None = None
        self._findings: tuple[Finding, ...] = ()
        self._report: Report | None = None

    def take(self, event: Event) -> None:
        """Bring the report up to date and pass the event on."""
        if isinstance(event, Opened):
            if self._opened is None:
                self._findings = findings_from_json(event.header.get("findings", []))
            self._opened = event
        if isinstance(event, Found):
            self._findings = tuple(event.findings)
        if isinstance(event, Opened | Finished | Found) and self._opened is not None:
            keys = self._opened.keys
            header = {**self._opened.header, "findings": self._findings}
            self._report = assemble(header, stored_records(self._store, keys), self._axes, list(keys))
            save(self._report, self._plan.out)
        self._listen(event)

    def finished(self) -> Report:
        """The report as it stands, its share card written.

        Raises:
            RunError: Nothing was opened.
        """
        if self._report is None:
            raise RunError("nothing-opened", "the run ended before anything was opened", "run it again")
        save_card(self._report, self._plan.out)
        return self._report
