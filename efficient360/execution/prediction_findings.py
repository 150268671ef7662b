"""What the clean predictions themselves say against a run: no better than chance, one answer for everything, another order of classes far better."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from efficient360.core.findings import Finding
from efficient360.core.formatting import class_name
from efficient360.core.statistics import wilson

FEWEST: Final = 20
"""Examples below which nothing is concluded."""
GAIN: Final = 0.05
"""An alternative is told when its accuracy is higher by at least this."""
P_VALUE: Final = 1e-3
"""… and a paired exact test says that chance would do it with less than this probability, all alternatives taken together."""
ONE_ANSWER: Final = 0.9
"""Share of the predictions from which one class is predicted almost always."""

Bools = NDArray[np.bool_]


def prediction_findings(
    logits: NDArray[np.float32], labels: NDArray[np.int64], class_names: Sequence[str], alternatives: Mapping[str, Sequence[int]]
) -> list[Finding]:
    """Findings of the clean predictions of the evaluated examples.

    Args:
        logits: float32 ``(n, K)``.
        labels: int64 ``(n,)``.
        class_names: Names of the K classes.
        alternatives: Other ways to match classes, in words: the column of ``logits`` that answers each label.
    """
    if len(labels) < FEWEST or logits.shape[1] < 2:
        return []
    predicted = logits.argmax(axis=1)
    correct = predicted == labels
    tests = len(alternatives) + 1
    others = [_other_match(how, correct, predicted == np.asarray(places)[labels], tests) for how, places in alternatives.items()]
    found = [finding for finding in others if finding is not None]
    if not found and (order := _other_order(predicted, labels, correct, tests)) is not None:
        found = [order]
    found += [finding for finding in (_one_answer(predicted, labels, class_names), _chance(correct, logits.shape[1])) if finding is not None]
    return found


def far_better(correct: Bools, other: Bools, tests: int) -> bool:
    """Whether an alternative's answers to the same examples are right more often: by :data:`GAIN`, and beyond chance (McNemar's exact test, Bonferroni).

    Args:
        correct: bool ``(n,)``.
        other: Of the alternative, bool ``(n,)``.
        tests: How many alternatives were tried.
    """
    won, lost = int((other & ~correct).sum()), int((correct & ~other).sum())
    if (won - lost) / len(correct) < GAIN:
        return False
    return float(binomtest(won, won + lost, 0.5, alternative="greater").pvalue) * tests < P_VALUE


def percent(correct: Bools) -> str:
    """An accuracy with its 95 % interval: ``71.0 % (64.4 – 76.8)``."""
    ends = wilson(int(correct.sum()), len(correct))
    return f"{100 * float(correct.mean()):.1f} % ({100 * ends.low:.1f} – {100 * ends.high:.1f})"


def _other_match(how: str, correct: Bools, other: Bools, tests: int) -> Finding | None:
    if not far_better(correct, other, tests):
        return None
    told = f"with the classes {how} the accuracy would be {percent(other)} instead of {percent(correct)}, on {len(correct)} images"
    return Finding("other-class-order-better", told, "check which class is which, and say so with --class-map")


def _other_order(predicted: NDArray[np.int64], labels: NDArray[np.int64], correct: Bools, tests: int) -> Finding | None:
    """Whether another assignment of outputs to labels does far better: each half of the examples is judged by the one that fits the other half best."""
    order = np.random.default_rng(0).permutation(len(labels))
    halves = order[::2], order[1::2]
    other = np.zeros_like(correct)
    for fitted, judged in (halves, halves[::-1]):
        rows, row = np.unique(labels[fitted], return_inverse=True)
        columns, column = np.unique(np.concatenate([predicted[fitted], labels[fitted]]), return_inverse=True)
        counts = np.zeros((len(rows), len(columns)))
        np.add.at(counts, (row, column[: len(fitted)]), 1)
        assigned = dict(zip(rows[(match := linear_sum_assignment(-counts))[0]].tolist(), columns[match[1]].tolist(), strict=True))
        other[judged] = [assigned.get(label, label) == answer for label, answer in zip(labels[judged].tolist(), predicted[judged].tolist(), strict=True)]
    if not far_better(correct, other, tests):
        return None
    told = f"another assignment of outputs to classes would score {percent(other)} instead of {percent(correct)}: the order of the classes looks wrong"
    return Finding("other-class-order-better", told, "check class_names in the sidecar and the data's labels, and say which is which with --class-map")


def _one_answer(predicted: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str]) -> Finding | None:
    counts = np.bincount(predicted)
    top = int(counts.argmax())
    share, real = counts[top] / len(predicted), float((labels == top).mean())
    if share < ONE_ANSWER or share - real < 1 - ONE_ANSWER:
        return None
    told = f"{100 * share:.0f} % of the images are predicted to be {class_name(top, class_names)}, which {100 * real:.0f} % are"
    return Finding("one-class-predicted", told, "check the preprocessing (mean, std, channel order) and the weights")


def _chance(correct: Bools, classes: int) -> Finding | None:
    chance, accuracy = 1 / classes, float(correct.mean())
    low = wilson(int(correct.sum()), len(correct)).low
    if low > chance and (accuracy - chance) / (1 - chance) >= GAIN:
        return None
    told = f"the accuracy is {percent(correct)} on {len(correct)} images, close to the {100 * chance:.3g} % of guessing among {classes} classes"
    return Finding("near-chance", told, "check that the checkpoint was trained for these classes, their order and its preprocessing")
