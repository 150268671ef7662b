"""Pictures of prediction sets: their size against their coverage, how coverage varied, coverage by size."""

from collections.abc import Mapping, Sequence

import numpy as np

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import count, number
from efficient360.methods.uncertainty.conformal_metrics import COVERAGE, EMPTY, SET_SIZE
from efficient360.methods.uncertainty.conformal_splits import Splits, coverage_law
from efficient360.methods.uncertainty.prediction_sets import Made, Sets
from efficient360.methods.uncertainty.size_strata import Violation


def size_curve(made: Mapping[str, Made], levels: Sequence[float]) -> Curve:
    """Mean set size against the coverage asked for, a line a method.

    Args:
        made: Sets by method.
        levels: Values of alpha on the axis.
    """
    order = np.argsort([-level for level in levels], kind="stable")
    coverage = tuple(float(1 - levels[i]) for i in order)
    series = tuple(Series(title, coverage, tuple(float(of.curve[i]) for i in order)) for title, of in made.items())
    return Curve("Set size against coverage", "coverage asked for", "mean number of classes in a set", series)


def summary_table(made: Mapping[str, Made], splits: Splits) -> Table:
    """Every method and level: coverage over the splits against its law, set size, sets of no class and of one."""
    rows = tuple(_row(title, sets, splits) for title, of in made.items() for sets in of.sets)
    columns = ("method", "coverage asked for", "coverage", "lowest – highest split", "splits within the law's 95 %", "mean size", "empty", "one class")
    return Table("Prediction sets", columns, rows)


def _row(title: str, sets: Sets, splits: Splits) -> tuple[str, ...]:
    tested, coverages = int(sets.tested[:, 0].sum()), sets.coverages
    low, high = coverage_law(splits.size, tested, sets.alpha).ppf((0.025, 0.975))
    hits = np.rint(coverages * tested)
    sizes = sets.sizes[sets.tested]
    return (
        title,
        number(1 - sets.alpha, COVERAGE),
        number(float(coverages.mean()), COVERAGE),
        f"{number(float(coverages.min()), COVERAGE)} – {number(float(coverages.max()), COVERAGE)}",
        f"{int(((hits >= low) & (hits <= high)).sum())} of {splits.number}",
        number(sets.mean_size, SET_SIZE),
        number(float((sizes == 0).mean()), EMPTY),
        number(float((sizes == 1).mean()), EMPTY),
    )


def strata_table(found: Mapping[str, Violation], alpha: float) -> Table:
    """Coverage by set size, for each method."""
    rows = tuple(
        (title, name, count(round(float(size))), number(float(coverage), COVERAGE))
        for title, of in found.items()
        for name, size, coverage in zip(of.names, of.sizes, of.coverages, strict=True)
    )
    return Table(f"Coverage by set size, {number(1 - alpha, COVERAGE)} asked for", ("method", "classes in the set", "examples", "coverage"), rows)
