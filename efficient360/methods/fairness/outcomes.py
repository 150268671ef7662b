"""What was found between groups, as outcomes."""

from collections.abc import Iterator, Mapping, Sequence

from efficient360.core.formatting import count
from efficient360.core.groupings import Grouping
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import holm, percentiles, wilson
from efficient360.methods.fairness import metrics
from efficient360.methods.fairness.class_rates import MEAN
from efficient360.methods.fairness.comparison import Gap
from efficient360.methods.fairness.pictures import class_tables, figures
from efficient360.methods.fairness.study import Effort, Study

ACCURACY = ("accuracy", "")
NAMED = 8
"""Small groups that a message names at most."""
MOST_GROUPS = 300
"""A column of more values than these names examples, not groups."""
HINT = "evaluate more examples, or set group_fairness.minimum lower"

Adjusted = Mapping[tuple[str, str, str], float]
"""Corrected p-value by grouping, comparison and summary."""


def adjusted(studies: Sequence[Study]) -> Adjusted:
    """p-values of each kind of gap, corrected for the number of groupings that were looked at (Holm 1979)."""
    raw: dict[tuple[str, str], dict[str, float]] = {}
    for of in studies:
        if of.accuracy is not None:
            raw.setdefault(ACCURACY, {})[of.grouping.name] = of.accuracy.beyond.p_value
        for kind, gaps in _kinds(of).items():
            for gap in gaps:
                raw.setdefault((kind, gap.name), {})[of.grouping.name] = gap.beyond.p_value
    return {(name, *of): p for of, by_grouping in raw.items() for name, p in zip(by_grouping, holm(list(by_grouping.values())), strict=True)}


def _kinds(of: Study) -> dict[str, tuple[Gap, ...]]:
    return {"odds": of.odds, "selection": of.selection, "overconfidence": of.overconfidence}


def outcomes(of: Study, p_values: Adjusted, effort: Effort) -> Iterator[Outcome]:
    """Everything that is told of one grouping."""
    given: Conditions = {"groups": of.grouping.name}
    yield from _groups(of, effort, given)
    if of.accuracy is None or of.frame is None:
        message = f"{of.grouping.name} has {_plural(int(of.compared.sum()))} of at least {effort.minimum} examples, and a difference takes two"
        yield Failure(Status.UNSUPPORTED, "too-few-groups", message, HINT, metrics.DIFFERENCE, given)
        return
    accuracy, n = of.accuracy, of.accuracy.tally.n
    yield Measurement(metrics.DIFFERENCE, of.frame.difference, n, accuracy.interval, given)
    yield Measurement(metrics.EXCESS, accuracy.beyond.excess, n, accuracy.excess, given)
    p = p_values[of.grouping.name, *ACCURACY]
    yield Measurement(metrics.P_VALUE, p, accuracy.beyond.draws, accuracy.beyond.p_interval(p), given)
    if of.frame.ratio is None or accuracy.ratio is None:
        yield Failure(Status.UNSUPPORTED, "never-right", "no group has a right answer, so none is a share of another", "", metrics.RATIO, given)
    else:
        yield Measurement(metrics.RATIO, of.frame.ratio, n, accuracy.ratio, given)
    worst = accuracy.tally.worst
    yield Measurement(metrics.WORST, of.frame.group_min, int(accuracy.tally.sizes[worst]), accuracy.tally.interval(worst), given)
    yield Measurement(metrics.WORST_NULL, float(accuracy.worst.mean()), n, percentiles(accuracy.worst, "permutations"), given)
    yield from _gaps(of, p_values, effort, given)


def _groups(of: Study, effort: Effort, given: Conditions) -> Iterator[Outcome]:
    for name, hits, size in zip(of.grouping.names, of.everyone.hits.tolist(), of.everyone.sizes.tolist(), strict=True):
        yield Measurement(metrics.GROUP, hits / size, size, wilson(hits, size), {**given, "group": name})
    small = [f"{name} ({n})" for name, n, kept in zip(of.grouping.names, of.everyone.sizes.tolist(), of.compared, strict=True) if not kept]
    if small:
        more = f" and {count(len(small) - NAMED)} more" if len(small) > NAMED else ""
        message = f"{_plural(len(small))} of {of.grouping.name} with fewer than {effort.minimum} examples not compared: {', '.join(small[:NAMED])}{more}"
        yield Failure(Status.UNSUPPORTED, "small-groups", message, HINT, metrics.GROUP, given)


def _gaps(of: Study, p_values: Adjusted, effort: Effort, given: Conditions) -> Iterator[Outcome]:
    told: dict[str, tuple[Metric, Metric, Metric]] = {
        "odds": (metrics.ODDS, metrics.ODDS_EXCESS, metrics.ODDS_P),
        "selection": (metrics.PARITY, metrics.PARITY_EXCESS, metrics.PARITY_P),
        "overconfidence": (metrics.CALIBRATION, metrics.CALIBRATION_EXCESS, metrics.CALIBRATION_P),
    }
    n = 0 if of.accuracy is None else of.accuracy.tally.n
    for kind, gaps in _kinds(of).items():
        for gap in gaps:
            value, excess, probability = told[kind]
            where: Conditions = {**given, **({"classes": gap.name} if gap.name else {})}
            p = p_values[of.grouping.name, kind, gap.name]
            yield Measurement(value, gap.beyond.value, n, gap.interval, where)
            yield Measurement(excess, gap.beyond.excess, n, gap.excess, where)
            yield Measurement(probability, p, gap.beyond.draws, gap.beyond.p_interval(p), where)
    if not of.odds:
        message = f"no class has {effort.minimum_class} examples in two groups of {of.grouping.name}, so no rate can be compared"
        yield Failure(Status.UNSUPPORTED, "sparse-classes", message, "evaluate more examples", metrics.ODDS, given)


def too_many(grouping: Grouping) -> Failure:
    """That a grouping has too many groups to be one."""
    message = f"{grouping.name} sorts the examples into {_plural(len(grouping.names))}, more than {MOST_GROUPS}"
    hint = "choose another column with --group-column, or set group_fairness.crossing lower"
    return Failure(Status.UNSUPPORTED, "too-many-groups", message, hint, metrics.DIFFERENCE, {"groups": grouping.name})


def largest(declared: Sequence[Study], proxies: Sequence[Study], p_values: Adjusted) -> Outcome:
    """The summary: the largest accuracy difference beyond chance, among the columns of the data set where it names any, else among proxies."""
    told = [of for of in declared or proxies if of.accuracy is not None]
    if not told:
        message = "no grouping has two groups of enough examples to be compared"
        return Failure(Status.UNSUPPORTED, "no-comparable-groups", message, HINT, metrics.LARGEST)
    worst = max(told, key=lambda of: of.accuracy.beyond.excess if of.accuracy is not None else -1.0)
    assert worst.accuracy is not None
    shown = figures([*declared, *proxies], {name: p for (name, *kind), p in p_values.items() if tuple(kind) == ACCURACY})
    given = {"groups": worst.grouping.name}
    return Measurement(metrics.LARGEST, worst.accuracy.beyond.excess, worst.accuracy.tally.n, worst.accuracy.excess, given, extra=shown)


def largest_odds(declared: Sequence[Study], proxies: Sequence[Study], class_names: Sequence[str]) -> Outcome:
    """The other summary: the largest equalized odds difference beyond chance, mean over the classes, among the same groupings."""
    told = [(gap, of) for of in declared or proxies for gap in of.odds if gap.name == MEAN]
    if not told:
        message = "no class has enough examples in two groups of any grouping, so no rate can be compared"
        return Failure(Status.UNSUPPORTED, "sparse-classes", message, HINT, metrics.LARGEST_ODDS)
    gap, worst = max(told, key=lambda one: one[0].beyond.excess)
    shown = class_tables([*declared, *proxies], class_names)
    n = 1 if worst.accuracy is None else worst.accuracy.tally.n
    return Measurement(metrics.LARGEST_ODDS, gap.beyond.excess, n, gap.excess, {"groups": worst.grouping.name}, extra=shown)


def _plural(groups: int) -> str:
    return f"{count(groups)} group{'' if groups == 1 else 's'}"
