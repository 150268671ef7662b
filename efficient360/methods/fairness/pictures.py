"""Figures of groups: accuracy by group with intervals, all groupings side by side, and the classes whose rates differ most."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Bars, Figure, Table
from efficient360.core.formatting import class_name, count, number, significant
from efficient360.core.formatting import interval as spelled
from efficient360.core.statistics import wilson
from efficient360.methods.fairness.metrics import DIFFERENCE, EXCESS, GROUP, RATIO
from efficient360.methods.fairness.study import Study

MOST_BARS = 30
MOST_CLASSES = 15
NONE = "–"


def by_group(of: Study) -> Bars:
    """Accuracy of every group of a grouping with its Wilson interval; of more than 30 groups, the 30 lowest, lowest first."""
    accuracy, sizes, hits = of.everyone.accuracy, of.everyone.sizes, of.everyone.hits
    shown, title = np.arange(len(sizes)), f"Accuracy by {of.grouping.name}"
    if len(sizes) > MOST_BARS:
        shown = np.argsort(accuracy, kind="stable")[:MOST_BARS]
        title += f": the {MOST_BARS} lowest of {count(len(sizes))}"
    intervals = [wilson(int(hits[i]), int(sizes[i])) for i in shown]
    labels = tuple(f"{of.grouping.names[i]} ({count(int(sizes[i]))})" for i in shown)
    return Bars(
        title,
        of.grouping.name,
        "accuracy",
        labels,
        tuple(float(accuracy[i]) for i in shown),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
    )


def groups_table(studies: Sequence[Study]) -> Table:
    """Every group of every grouping: examples, accuracy with its interval, overconfidence, and whether it stands out from the rest."""
    columns = ("grouping", "group", "examples", "accuracy", "95 % interval", "confidence − accuracy", "p against the rest, corrected")
    return Table("Groups", columns, tuple(row for of in studies for row in _groups(of)))


def _groups(of: Study) -> Iterator[tuple[str, ...]]:
    p_values = iter([] if of.accuracy is None else of.accuracy.p_values)
    for i, name in enumerate(of.grouping.names):
        size, hits = int(of.everyone.sizes[i]), int(of.everyone.hits[i])
        interval = wilson(hits, size)
        told = "too few to compare" if not of.compared[i] else NONE if of.accuracy is None else significant(float(next(p_values)), 2)
        over = number(float(of.everyone.overconfidence[i]), EXCESS)
        yield of.grouping.name, name, count(size), number(hits / size, GROUP), spelled(interval, GROUP), over, told


def groupings_table(studies: Sequence[Study], adjusted: Mapping[str, float]) -> Table:
    """Every grouping: groups compared, accuracy difference with what chance gives, p-value, ratio, the worst group and what chance gives it.

    Args:
        studies: Of every grouping.
        adjusted: Corrected p-value of the accuracy difference by grouping.
    """
    rows: list[tuple[str | int | float, ...]] = []
    for of in studies:
        if of.accuracy is None or of.frame is None:
            rows.append((of.grouping.name, *[NONE] * 9))
            continue
        worst, ratio = of.accuracy.tally.worst, of.frame.ratio
        rows.append(
            (
                of.grouping.name,
                f"{len(of.names)} of {len(of.grouping.names)}",
                number(of.frame.difference, DIFFERENCE),
                number(of.accuracy.beyond.null_mean, DIFFERENCE),
                number(of.accuracy.beyond.excess, EXCESS),
                significant(adjusted[of.grouping.name], 2),
                NONE if ratio is None else number(ratio, RATIO),
                of.names[worst],
                number(of.frame.group_min, GROUP),
                number(float(of.accuracy.worst.mean()), GROUP),
            )
        )
    columns = (
        "grouping",
        "compared",
        "difference",
        "by chance",
        "beyond chance",
        "p, corrected",
        "ratio",
        "worst group",
        "accuracy",
        "worst by chance",
    )
    return Table("Accuracy between groups", columns, tuple(rows))


def classes_table(of: Study, class_names: Sequence[str]) -> Table | None:
    """The classes whose true or false positive rates differ most between groups, at most 15; ``None`` where no class has enough examples."""
    if of.classes is None:
        return None
    odds = of.classes
    rates = odds.observed()
    true, false = (gaps[0] for gaps in odds.by_class(rates))
    width = len(odds.compared)
    told = odds.told[:, odds.compared]
    said = odds.answers.by_class(odds.answers.predicted)[:, odds.compared] / odds.answers.sizes[:, None]
    rows = []
    for i in np.argsort(-np.maximum(true, false), kind="stable")[:MOST_CLASSES]:
        label = int(odds.compared[i])
        right, wrong, often = rates[0, :, i][told[:, i]], rates[0, :, width + i][told[:, i]], said[:, i]
        rows.append(
            (
                class_name(label, class_names),
                _share(float(np.ptp(right))),
                _ratio(right),
                _share(float(right.min())),
                _share(float(np.ptp(wrong))),
                _share(float(wrong.max())),
                _share(float(np.ptp(often))),
                _ratio(often),
                _share(float(often.min())),
            )
        )
    columns = ("class", "TPR gap", "ratio", "lowest", "FPR gap", "highest", "selection gap", "ratio", "lowest")
    most = "" if width <= MOST_CLASSES else f", the {MOST_CLASSES} most unequal of {count(width)}"
    return Table(f"Rates of each class by {of.grouping.name}{most}", columns, tuple(rows))


def _share(value: float) -> str:
    return number(value, GROUP)


def _ratio(rates: Floats) -> str:
    return number(float(rates.min() / rates.max()), RATIO) if rates.max() > 0 else NONE


def figures(studies: Sequence[Study], adjusted: Mapping[str, float]) -> tuple[Figure, ...]:
    """Accuracy between groups: all groupings side by side, a picture of each that can be compared, and every group.

    Args:
        studies: Of every grouping.
        adjusted: Corrected p-value of the accuracy difference by grouping.
    """
    return (groupings_table(studies, adjusted), *(by_group(of) for of in studies if of.accuracy is not None), groups_table(studies))


def class_tables(studies: Sequence[Study], class_names: Sequence[str]) -> tuple[Figure, ...]:
    """The classes whose rates differ most, for each grouping that has any to compare."""
    return tuple(table for of in studies if (table := classes_table(of, class_names)) is not None)
