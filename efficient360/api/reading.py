"""Finished runs: their reports, and comparisons of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from efficient360.core.paths import user_path
from efficient360.plugins.registry import dimensions
from efficient360.reports.folder import read
from efficient360.reports.run_report import RunReport

if TYPE_CHECKING:
    from efficient360.reports.run_comparison import RunComparison


def load_report(folder: str | Path, plugins: Sequence[str | Path] = ()) -> RunReport:
    """The report of a finished or interrupted run, drawn anew from its stored outcomes; no model runs.

    Args:
        folder: The run's folder.
        plugins: Files with further dimensions.

    Raises:
        RunError: The folder holds no run, or one that can't be read.
    """
    place = user_path(folder)
    return RunReport(read(place, dimensions([user_path(path) for path in plugins])), place)


def compare(first: RunReport | str | Path, second: RunReport | str | Path, *others: RunReport | str | Path) -> RunComparison:
    """Two or more runs, every two of them: a verdict per axis and per metric, by paired tests over the examples that both kept values of.

    Args:
        first: A report, or the folder of a run.
        second: The one to compare it with.
        others: Further ones.

    Raises:
        RunError: A folder holds no run, or two of them share no metric.
    """
    from efficient360.reports.comparing.run import Run
    from efficient360.reports.comparison import compare_runs
    from efficient360.reports.run_comparison import RunComparison

    runs = [one if isinstance(one, RunReport) else load_report(one) for one in (first, second, *others)]
    return RunComparison(compare_runs([Run.of(run.report, run.folder) for run in runs]), [run.report for run in runs])
