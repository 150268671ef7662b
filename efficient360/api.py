"""The whole way: a plan in, events as it goes, a report out. What is measured is on disk before it is told."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from efficient360.errors import RunError
from efficient360.execution.events import Event, Finished, Opened
from efficient360.execution.plan import Plan
from efficient360.execution.worker import isolated
from efficient360.plugins.registry import dimensions
from efficient360.reports.folder import assemble, save, stored_records
from efficient360.reports.report import Report
from efficient360.storage.outcomes import Store


def evaluate(plan: Plan, listen: Callable[[Event], None]) -> Report:
    """Run a plan in a worker process and keep its folder's report up to date after every evaluator.

    Args:
        plan: What to do.
        listen: Called with every event.

    Returns:
        The report, as it stands in the plan's folder.

    Raises:
        Efficient360Error: As :func:`efficient360.execution.runner.run`.
    """
    return follow(plan, isolated(plan), listen)


def follow(plan: Plan, events: Iterable[Event], listen: Callable[[Event], None]) -> Report:
    """Keep the folder's report up to date along a stream of events.

    Raises:
        RunError: The stream ends before anything was opened.
    """
    axes = dimensions(plan.plugins)
    store = Store(plan.out)
    header: Mapping[str, Any] | None = None
    keys: Mapping[str, str] = {}
    report: Report | None = None
    for event in events:
        if isinstance(event, Opened):
            if header is None:
                header, keys = event.header, event.keys
            report = assemble(header, stored_records(store, keys), axes, list(keys))
            save(report, plan.out)
        elif isinstance(event, Finished) and header is not None:
            report = assemble(header, stored_records(store, keys), axes, list(keys))
            save(report, plan.out)
        listen(event)
    if report is None:
        raise RunError("nothing-opened", "the run ended before anything was opened", "run it again")
    return report
