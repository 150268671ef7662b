"""Everything that is compared between the groups of one grouping."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.groupings import Grouping
from efficient360.core.measurement import Interval
from efficient360.core.statistics import MonteCarloTest, centred_bootstrap, monte_carlo_test
from efficient360.methods.fairness import tally
from efficient360.methods.fairness.calibration import Overconfidence
from efficient360.methods.fairness.class_rates import Odds, Selection
from efficient360.methods.fairness.comparison import Answers, Comparison, Gap, compare
from efficient360.methods.fairness.draws import chunks
from efficient360.methods.fairness.frame import Frame, frame
from efficient360.methods.fairness.tally import Tally


@final
@dataclass(frozen=True)
class Effort:
    """How much work goes into a study.

    Args:
        minimum: Examples that a group needs to be compared.
        minimum_class: Examples of a class, and of all others, that a group needs for that class's rates.
        permutations: Draws of a null.
        resamples: Draws behind an interval.
        check: Called between chunks of work; may raise.
    """

    minimum: int
    minimum_class: int
    permutations: int
    resamples: int
    check: Callable[[], None]


@final
@dataclass(frozen=True)
class AccuracyGap:
    """How far apart groups are in accuracy.

    Args:
        tally: Right answers of the compared groups.
        beyond: The difference against chance.
        interval: Of the true difference.
        excess: Of the difference less the chance level.
        ratio: Of the true ratio; ``None`` where there is none.
        worst: Lowest accuracy of each draw of the null, ``(permutations,)``.
        p_values: Of each group against the rest, corrected for their number, ``(G,)``.
    """

    tally: Tally
    beyond: MonteCarloTest
    interval: Interval
    excess: Interval
    ratio: Interval | None
    worst: Floats
    p_values: Floats


@final
@dataclass(frozen=True)
class Study:
    """One grouping with all that was found.

    Args:
        grouping: All examples and groups.
        everyone: Numbers of every group, however small.
        compared: Whether each group is large enough to be compared, bool ``(G,)``.
        frame: Numbers of the compared groups; ``None`` when there are fewer than two.
        accuracy: How far apart the compared groups are in accuracy; ``None`` as above.
        odds: Gaps in true and false positive rates; empty where no class has enough examples in two groups.
        selection: Gaps in how often classes are said.
        overconfidence: Gap in overconfidence.
        classes: True and false positive and selection rates of each class; ``None`` where there are no odds.
    """

    grouping: Grouping
    everyone: Frame
    compared: NDArray[np.bool_]
    frame: Frame | None = None
    accuracy: AccuracyGap | None = None
    odds: tuple[Gap, ...] = ()
    selection: tuple[Gap, ...] = ()
    overconfidence: tuple[Gap, ...] = ()
    classes: Odds | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the compared groups."""
        return tuple(name for name, kept in zip(self.grouping.names, self.compared, strict=True) if kept)


def study(answers: Answers, grouping: Grouping, effort: Effort, seed: list[int]) -> Study:
    """Compare the groups of one grouping.

    Args:
        answers: Of all examples, in any order; their ``codes`` are not looked at.
        grouping: Of the same examples.
        effort: How much work to put in.
        seed: Of all randomness.
    """
    every, everyone = grouping.among(np.ones(len(grouping.names), dtype=bool))
    found = Study(grouping, frame(_taken(answers, every, everyone)), grouping.sizes >= effort.minimum)
    if found.compared.sum() < 2:
        return found
    among = _taken(answers, *grouping.among(found.compared))
    numbers = frame(among)
    odds = Odds(among, effort.minimum_class)

    def gaps(of: Comparison, part: int) -> tuple[Gap, ...]:
        return tuple(compare(of, effort.permutations, effort.resamples, np.random.default_rng([*seed, part]), effort.check))

    return replace(
        found,
        frame=numbers,
        accuracy=accuracy_gap(Tally(numbers.hits, numbers.sizes), effort, np.random.default_rng([*seed, 0])),
        odds=gaps(odds, 1) if len(odds.compared) else (),
        selection=gaps(Selection(among), 2),
        overconfidence=gaps(Overconfidence(among), 3),
        classes=odds if len(odds.compared) else None,
    )


def accuracy_gap(of: Tally, effort: Effort, rng: np.random.Generator) -> AccuracyGap:
    """How far apart at least two groups are in accuracy."""
    null = np.concatenate([tally.chance(of, rows, rng) for rows in _checked(effort, effort.permutations, len(of.sizes))])
    strayed = np.concatenate([tally.errors(of, rows, rng) for rows in _checked(effort, effort.resamples, len(of.sizes))])
    against = monte_carlo_test(float(tally.differences(of.values[None])[0]), tally.differences(null))
    again = tally.differences(of.values + strayed)
    return AccuracyGap(
        of,
        against,
        tally.difference_interval(of, strayed),
        centred_bootstrap(against.excess, again, -1.0, 1.0),
        None if tally.ratio(of) is None else tally.ratio_interval(of, strayed),
        null.min(axis=1),
        tally.against_rest(of, null),
    )


def _checked(effort: Effort, total: int, width: int) -> Iterator[int]:
    for rows in chunks(total, width):
        effort.check()
        yield rows


def _taken(answers: Answers, positions: NDArray[np.int64], grouping: Grouping) -> Answers:
    return replace(
        answers, labels=answers.labels[positions], predicted=answers.predicted[positions], confidence=answers.confidence[positions], codes=grouping.codes
    )
