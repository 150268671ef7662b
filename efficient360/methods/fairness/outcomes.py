"""From fairness analyses to outcomes, with their figures and tables."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Bars, Figure, Table
from efficient360.core.formatting import class_name, count, number, significant
from efficient360.core.formatting import interval as format_interval
from efficient360.core.groupings import Grouping
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import holm, percentiles, wilson
from efficient360.methods.fairness import metrics
from efficient360.methods.fairness.analysis import FairnessOptions, GroupingAnalysis
from efficient360.methods.fairness.criteria import MEAN
from efficient360.methods.fairness.disparity import DisparityTest, largest_excess_interval
from efficient360.methods.fairness.group_accuracy import lowest_interval
from efficient360.methods.fairness.metrics import DIFFERENCE, EXCESS, GROUP, RATIO

ACCURACY = ("accuracy", "")
MAX_NAMES = 8
"""Small groups that a message names at most."""
MAX_GROUPS = 300
"""A column of more values than these identifies examples, not groups."""
MAX_BARS = 30
MAX_CLASSES = 15
NONE = "–"
HINT = "evaluate more examples, or set group_fairness.minimum lower"
_METRICS: Mapping[str, tuple[Metric, Metric, Metric]] = {
    "equalized_odds": (metrics.ODDS, metrics.ODDS_EXCESS, metrics.ODDS_P),
    "demographic_parity": (metrics.PARITY, metrics.PARITY_EXCESS, metrics.PARITY_P),
    "calibration": (metrics.CALIBRATION, metrics.CALIBRATION_EXCESS, metrics.CALIBRATION_P),
}
"""Difference, excess and p-value of each criterion."""

AdjustedPValues = Mapping[tuple[str, str, str], float]
"""Adjusted p-value by grouping, criterion and summary."""


def holm_adjusted(analyses: Sequence[GroupingAnalysis]) -> AdjustedPValues:
    """p-values of each criterion, adjusted for the number of groupings tested (Holm 1979)."""
    raw: dict[tuple[str, str], dict[str, float]] = {}
    for analysis in analyses:
        if analysis.accuracy is not None:
            raw.setdefault(ACCURACY, {})[analysis.grouping.name] = analysis.accuracy.versus_null.p_value
        for criterion, tests in _by_criterion(analysis).items():
            for test in tests:
                raw.setdefault((criterion, test.summary), {})[analysis.grouping.name] = test.versus_null.p_value
    return {(name, *key): p for key, by_grouping in raw.items() for name, p in zip(by_grouping, holm(list(by_grouping.values())), strict=True)}


def _by_criterion(analysis: GroupingAnalysis) -> dict[str, tuple[DisparityTest, ...]]:
    return {
        "equalized_odds": analysis.equalized_odds,
        "demographic_parity": analysis.demographic_parity,
        "calibration": analysis.calibration,
    }


def grouping_outcomes(analysis: GroupingAnalysis, p_values: AdjustedPValues, options: FairnessOptions) -> Iterator[Outcome]:
    """Every outcome of one grouping."""
    conditions: Conditions = {"groups": analysis.grouping.name}
    yield from _group_accuracies(analysis, options, conditions)
    if analysis.accuracy is None or analysis.compared_groups is None:
        message = f"{analysis.grouping.name} has {_plural(int(analysis.is_compared.sum()))} of at least {options.minimum} examples; a difference needs two"
        yield Failure(Status.UNSUPPORTED, "too-few-groups", message, HINT, metrics.DIFFERENCE, conditions)
        return
    accuracy, compared, n = analysis.accuracy, analysis.compared_groups, analysis.accuracy.counts.n
    yield Measurement(metrics.DIFFERENCE, compared.difference, n, accuracy.interval, conditions)
    yield Measurement(metrics.EXCESS, accuracy.versus_null.excess, n, accuracy.excess_interval, conditions)
    p = p_values[analysis.grouping.name, *ACCURACY]
    yield Measurement(metrics.P_VALUE, p, accuracy.versus_null.draws, accuracy.versus_null.p_interval(p), conditions)
    if compared.ratio is None or accuracy.ratio_interval is None:
        yield Failure(Status.UNSUPPORTED, "never-right", "no group has a correct prediction, so the ratio is undefined", "", metrics.RATIO, conditions)
    else:
        yield Measurement(metrics.RATIO, compared.ratio, n, accuracy.ratio_interval, conditions)
    worst = accuracy.counts.worst
    yield Measurement(metrics.WORST, compared.group_min, int(accuracy.counts.sizes[worst]), lowest_interval(accuracy.counts), conditions)
    yield Measurement(metrics.WORST_NULL, float(accuracy.worst_null.mean()), n, percentiles(accuracy.worst_null, "permutations"), conditions)
    yield from _disparities(analysis, n, p_values, options, conditions)


def _group_accuracies(analysis: GroupingAnalysis, options: FairnessOptions, conditions: Conditions) -> Iterator[Outcome]:
    names, sizes = analysis.grouping.names, analysis.all_groups.sizes.tolist()
    for name, hits, size in zip(names, analysis.all_groups.hits.tolist(), sizes, strict=True):
        yield Measurement(metrics.GROUP, hits / size, size, wilson(hits, size), {**conditions, "group": name})
    small = [f"{name} ({size})" for name, size, compared in zip(names, sizes, analysis.is_compared, strict=True) if not compared]
    if small:
        more = f" and {count(len(small) - MAX_NAMES)} more" if len(small) > MAX_NAMES else ""
        excluded = f"{_plural(len(small))} of {analysis.grouping.name} with fewer than {options.minimum} examples not compared"
        message = f"{excluded}: {', '.join(small[:MAX_NAMES])}{more}"
        yield Failure(Status.UNSUPPORTED, "small-groups", message, HINT, metrics.GROUP, conditions)


def _disparities(analysis: GroupingAnalysis, n: int, p_values: AdjustedPValues, options: FairnessOptions, conditions: Conditions) -> Iterator[Outcome]:
    for criterion, tests in _by_criterion(analysis).items():
        difference, excess, p_value = _METRICS[criterion]
        for test in tests:
            given: Conditions = {**conditions, **({"classes": test.summary} if test.summary else {})}
            p = p_values[analysis.grouping.name, criterion, test.summary]
            yield Measurement(difference, test.versus_null.value, n, test.interval, given)
            yield Measurement(excess, test.versus_null.excess, n, test.excess_interval, given)
            yield Measurement(p_value, p, test.versus_null.draws, test.versus_null.p_interval(p), given)
    if not analysis.equalized_odds:
        message = f"no class has {options.minimum_class} examples in two groups of {analysis.grouping.name}, so no rates can be compared"
        yield Failure(Status.UNSUPPORTED, "sparse-classes", message, "evaluate more examples", metrics.ODDS, conditions)


def too_many_groups(grouping: Grouping) -> Failure:
    """The failure of a column that identifies examples instead of groups."""
    message = f"{grouping.name} has {_plural(len(grouping.names))}, more than {MAX_GROUPS}"
    hint = "choose another column with --group-column, or set group_fairness.crossing lower"
    return Failure(Status.UNSUPPORTED, "too-many-groups", message, hint, metrics.DIFFERENCE, {"groups": grouping.name})


def largest_accuracy_gap(declared: Sequence[GroupingAnalysis], proxies: Sequence[GroupingAnalysis], p_values: AdjustedPValues) -> Outcome:
    """The summary: the largest accuracy difference beyond chance, among the data set's columns where it has any, else among proxies."""
    compared = [(analysis, analysis.accuracy) for analysis in declared or proxies if analysis.accuracy is not None]
    if not compared:
        message = "no grouping has two groups with enough examples to be compared"
        return Failure(Status.UNSUPPORTED, "no-comparable-groups", message, HINT, metrics.LARGEST)
    worst, accuracy = max(compared, key=lambda pair: pair[1].versus_null.excess)
    extra = _accuracy_figures([*declared, *proxies], {name: p for (name, *key), p in p_values.items() if tuple(key) == ACCURACY})
    conditions = {"groups": worst.grouping.name}
    every = [accuracy for _, accuracy in compared]
    interval = largest_excess_interval([a.versus_null.excess for a in every], [a.resampled for a in every], 1.0)
    return Measurement(metrics.LARGEST, accuracy.versus_null.excess, accuracy.counts.n, interval, conditions, extra=extra)


def largest_odds_gap(declared: Sequence[GroupingAnalysis], proxies: Sequence[GroupingAnalysis], class_names: Sequence[str]) -> Outcome:
    """The other summary: the largest equalized odds difference beyond chance, mean over the classes, among the same groupings."""
    tested = [(test, analysis) for analysis in declared or proxies for test in analysis.equalized_odds if test.summary == MEAN]
    if not tested:
        message = "no class has enough examples in two groups of any grouping, so no rates can be compared"
        return Failure(Status.UNSUPPORTED, "sparse-classes", message, HINT, metrics.LARGEST_ODDS)
    test, worst = max(tested, key=lambda pair: pair[0].versus_null.excess)
    tables = tuple(table for analysis in (*declared, *proxies) if (table := class_rates_table(analysis, class_names)) is not None)
    n = 1 if worst.accuracy is None else worst.accuracy.counts.n
    every = [test for test, _ in tested]
    interval = largest_excess_interval([t.versus_null.excess for t in every], [t.resampled for t in every], 1.0)
    return Measurement(metrics.LARGEST_ODDS, test.versus_null.excess, n, interval, {"groups": worst.grouping.name}, extra=tables)


def _accuracy_figures(analyses: Sequence[GroupingAnalysis], p_values: Mapping[str, float]) -> tuple[Figure, ...]:
    """All groupings side by side, accuracy by group for each that can be compared, and every group.

    Args:
        analyses: Of every grouping.
        p_values: Adjusted p-value of the accuracy difference by grouping.
    """
    bars = (accuracy_bars(analysis) for analysis in analyses if analysis.accuracy is not None)
    return (groupings_table(analyses, p_values), *bars, groups_table(analyses))


def accuracy_bars(analysis: GroupingAnalysis) -> Bars:
    """Accuracy of every group with its Wilson interval; of more than 30 groups the 30 lowest, lowest first."""
    accuracy, sizes, hits = analysis.all_groups.accuracy, analysis.all_groups.sizes, analysis.all_groups.hits
    rows, title = np.arange(len(sizes)), f"Accuracy by {analysis.grouping.name}"
    if len(sizes) > MAX_BARS:
        rows = np.argsort(accuracy, kind="stable")[:MAX_BARS]
        title += f": the {MAX_BARS} lowest of {count(len(sizes))}"
    intervals = [wilson(int(hits[i]), int(sizes[i])) for i in rows]
    return Bars(
        title,
        analysis.grouping.name,
        "accuracy",
        tuple(f"{analysis.grouping.names[i]} ({count(int(sizes[i]))})" for i in rows),
        tuple(float(accuracy[i]) for i in rows),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
    )


def groups_table(analyses: Sequence[GroupingAnalysis]) -> Table:
    """Every group of every grouping: examples, accuracy with its interval, overconfidence, and the p-value of the group against the rest."""
    columns = ("grouping", "group", "examples", "accuracy", "95 % interval", "confidence − accuracy", "p against the rest, adjusted")
    return Table("Groups", columns, tuple(row for analysis in analyses for row in _group_rows(analysis)))


def _group_rows(analysis: GroupingAnalysis) -> Iterator[tuple[str, ...]]:
    p_values = iter([] if analysis.accuracy is None else analysis.accuracy.p_values)
    for i, name in enumerate(analysis.grouping.names):
        size, hits = int(analysis.all_groups.sizes[i]), int(analysis.all_groups.hits[i])
        interval = format_interval(wilson(hits, size), GROUP)
        p_value = "too few to compare" if not analysis.is_compared[i] else NONE if analysis.accuracy is None else significant(float(next(p_values)), 2)
        overconfidence = number(float(analysis.all_groups.overconfidence[i]), EXCESS)
        yield analysis.grouping.name, name, count(size), number(hits / size, GROUP), interval, overconfidence, p_value


def groupings_table(analyses: Sequence[GroupingAnalysis], p_values: Mapping[str, float]) -> Table:
    """Every grouping: groups compared, accuracy difference and its null, p-value, ratio, the worst group and its null.

    Args:
        analyses: Of every grouping.
        p_values: Adjusted p-value of the accuracy difference by grouping.
    """
    rows: list[tuple[str | int | float, ...]] = []
    for analysis in analyses:
        accuracy, compared, name = analysis.accuracy, analysis.compared_groups, analysis.grouping.name
        if accuracy is None or compared is None:
            rows.append((name, *[NONE] * 9))
            continue
        rows.append(
            (
                name,
                f"{len(analysis.compared_names)} of {len(analysis.grouping.names)}",
                number(compared.difference, DIFFERENCE),
                number(accuracy.versus_null.null_mean, DIFFERENCE),
                number(accuracy.versus_null.excess, EXCESS),
                significant(p_values[name], 2),
                NONE if compared.ratio is None else number(compared.ratio, RATIO),
                analysis.compared_names[accuracy.counts.worst],
                number(compared.group_min, GROUP),
                number(float(accuracy.worst_null.mean()), GROUP),
            )
        )
    columns = (
        "grouping",
        "compared",
        "difference",
        "by chance",
        "beyond chance",
        "p, adjusted",
        "ratio",
        "worst group",
        "accuracy",
        "worst by chance",
    )
    return Table("Accuracy between groups", columns, tuple(rows))


def class_rates_table(analysis: GroupingAnalysis, class_names: Sequence[str]) -> Table | None:
    """The classes whose true or false positive rates differ most between groups, at most 15; ``None`` where no class has enough examples."""
    if analysis.class_rates is None:
        return None
    odds = analysis.class_rates
    classes, predictions = odds.compared_classes, odds.predictions
    rates = odds.observed()[0]
    tpr_gaps, fpr_gaps = (gaps[0] for gaps in odds.class_differences(rates[None]))
    has_rates = odds.has_rates[:, classes]
    selection_rates = predictions.class_counts(predictions.predicted)[:, classes] / predictions.sizes[:, None]
    rows = []
    for i in np.argsort(-np.maximum(tpr_gaps, fpr_gaps), kind="stable")[:MAX_CLASSES]:
        tpr, fpr, selection = rates[:, i][has_rates[:, i]], rates[:, len(classes) + i][has_rates[:, i]], selection_rates[:, i]
        rows.append(
            (
                class_name(int(classes[i]), class_names),
                _percent(float(np.ptp(tpr))),
                _ratio(tpr),
                _percent(float(tpr.min())),
                _percent(float(np.ptp(fpr))),
                _percent(float(fpr.max())),
                _percent(float(np.ptp(selection))),
                _ratio(selection),
                _percent(float(selection.min())),
            )
        )
    columns = ("class", "TPR difference", "ratio", "lowest", "FPR difference", "highest", "selection rate difference", "ratio", "lowest")
    title = f"Rates of each class by {analysis.grouping.name}"
    return Table(title if len(classes) <= MAX_CLASSES else f"{title}, the {MAX_CLASSES} most unequal of {count(len(classes))}", columns, tuple(rows))


def _percent(value: float) -> str:
    return number(value, GROUP)


def _ratio(rates: Floats) -> str:
    return number(float(rates.min() / rates.max()), RATIO) if rates.max() > 0 else NONE


def _plural(groups: int) -> str:
    return f"{count(groups)} group{'' if groups == 1 else 's'}"
