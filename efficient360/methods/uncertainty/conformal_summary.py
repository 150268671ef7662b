"""What the conformal evaluator reports of prediction sets: size-stratified coverage, set size against coverage, and the summary tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import count, number
from efficient360.core.measurement import Interval
from efficient360.core.statistics import centred_bootstrap, percentiles
from efficient360.methods.uncertainty.conformal_metrics import COVERAGE, EMPTY, SET_SIZE
from efficient360.methods.uncertainty.split_conformal import CalibrationSplits, ConformalResult, PredictionSets, coverage_distribution

STRATUM_ENDS: Final = (1, 3, 10, 100, 1000)
"""Largest set size in each stratum but the last (as in the tables of Angelopoulos et al. 2021)."""


@final
@dataclass(frozen=True)
class SizeStratifiedCoverage:
    """Coverage by set size, and its largest deviation from nominal coverage (SSCV).

    Args:
        names: Set sizes of each stratum that is large enough.
        sizes: Examples in each, ``(J,)``; fractional, as an example may fall into several strata over the splits.
        coverages: Coverage of each, ``(J,)``.
        violation: The largest deviation from nominal coverage.
        interval: Of the violation.
        null_mean: Expected violation if coverage were nominal in every stratum.
        null_interval: Central 95 % of the null.
    """

    names: tuple[str, ...]
    sizes: Floats
    coverages: Floats
    violation: float
    interval: Interval
    null_mean: float
    null_interval: Interval


def size_stratified_coverage(sets: PredictionSets, minimum: int, weights: Floats, rng: np.random.Generator) -> SizeStratifiedCoverage | None:
    """Coverage over strata of at least ``minimum`` examples, pooled over splits; ``None`` where no stratum is large enough.

    Args:
        sets: The prediction sets.
        minimum: Examples that a stratum needs.
        weights: How often each example is drawn, ``(r, n)``, for the interval.
        rng: For the null.
    """
    stratum = np.searchsorted(STRATUM_ENDS, sets.sizes)
    strata = range(len(STRATUM_ENDS) + 1)
    membership = np.stack([sets.rate_when_tested(stratum == j) for j in strata], axis=1)  # (n, J)
    covered = np.stack([sets.rate_when_tested((stratum == j) & sets.covered) for j in strata], axis=1)
    chosen = np.flatnonzero(membership.sum(axis=0) >= minimum)
    if not len(chosen):
        return None
    membership, covered = membership[:, chosen], covered[:, chosen]
    sizes, coverages = membership.sum(axis=0), covered.sum(axis=0) / membership.sum(axis=0)
    nominal = 1 - sets.alpha
    violation = float(np.abs(coverages - nominal).max())
    counts = np.rint(sizes).astype(np.int64)
    null = np.abs(rng.binomial(counts, nominal, (len(weights), len(chosen))) / counts - nominal).max(axis=1)
    resampled = (weights @ covered) / np.maximum(weights @ membership, 1e-9)
    return SizeStratifiedCoverage(
        tuple(_stratum_name(int(j)) for j in chosen),
        sizes,
        coverages,
        violation,
        centred_bootstrap(violation, np.abs(resampled - nominal).max(axis=1), 0.0, 1.0),
        float(null.mean()),
        percentiles(null, "binomial-draws"),
    )


def _stratum_name(stratum: int) -> str:
    starts: Sequence[int] = (0, *(end + 1 for end in STRATUM_ENDS))
    return f"{starts[stratum]}–{STRATUM_ENDS[stratum]}" if stratum < len(STRATUM_ENDS) else f"over {STRATUM_ENDS[-1]}"


def size_curve(results: Mapping[str, ConformalResult], levels: Sequence[float]) -> Curve:
    """Mean set size against nominal coverage, one line per method.

    Args:
        results: Prediction sets by method.
        levels: Values of alpha on the axis.
    """
    order = np.argsort([-level for level in levels], kind="stable")
    coverage = tuple(float(1 - levels[i]) for i in order)
    series = tuple(Series(title, coverage, tuple(float(result.size_curve[i]) for i in order)) for title, result in results.items())
    return Curve("Set size against coverage", "nominal coverage", "mean set size (classes)", series)


def summary_table(results: Mapping[str, ConformalResult], splits: CalibrationSplits) -> Table:
    """Every method and level: empirical coverage over the splits against its distribution, set size, empty and singleton sets."""
    rows = tuple(_summary_row(title, sets, splits) for title, result in results.items() for sets in result.sets)
    columns = ("method", "nominal coverage", "coverage", "lowest – highest split", "splits within expected 95 %", "mean size", "empty", "singletons")
    return Table("Prediction sets", columns, rows)


def _summary_row(title: str, sets: PredictionSets, splits: CalibrationSplits) -> tuple[str, ...]:
    test_size, coverages = int(sets.tested[:, 0].sum()), sets.coverages
    low, high = coverage_distribution(splits.calibration_size, test_size, sets.alpha).ppf((0.025, 0.975))
    hits = np.rint(coverages * test_size)
    sizes = sets.sizes[sets.tested]
    return (
        title,
        number(1 - sets.alpha, COVERAGE),
        number(float(coverages.mean()), COVERAGE),
        f"{number(float(coverages.min()), COVERAGE)} – {number(float(coverages.max()), COVERAGE)}",
        f"{int(((hits >= low) & (hits <= high)).sum())} of {splits.count}",
        number(sets.mean_size, SET_SIZE),
        number(float((sizes == 0).mean()), EMPTY),
        number(float((sizes == 1).mean()), EMPTY),
    )


def strata_table(results: Mapping[str, SizeStratifiedCoverage], alpha: float) -> Table:
    """Coverage by set size, for each method."""
    rows = tuple(
        (title, name, count(round(float(size))), number(float(coverage), COVERAGE))
        for title, result in results.items()
        for name, size, coverage in zip(result.names, result.sizes, result.coverages, strict=True)
    )
    return Table(f"Coverage by set size, {number(1 - alpha, COVERAGE)} nominal", ("method", "set size", "examples", "coverage"), rows)
