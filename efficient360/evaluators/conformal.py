"""Conformal prediction: how many classes must be named so that the true one is among them nine times in ten, and for whom that holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.examples import Examples
from efficient360.core.figures import Figure
from efficient360.core.groupings import Grouping, group_by
from efficient360.core.permutation_null import centred
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Conditions, Context, Evaluator, Failure, Interval, Measurement, Metric, Model, Need, Outcome, Status
from efficient360.methods.fairness.group_accuracy import GroupCounts
from efficient360.methods.fairness.worst_groups import worst_k
from efficient360.methods.uncertainty import conformal_metrics
from efficient360.methods.uncertainty.clean_logits import clean_logits
from efficient360.methods.uncertainty.conformal_metrics import (
    COVERAGE,
    EMPTY,
    REMAINING,
    SET_SIZE,
    SINGLETONS,
    SSCV,
    SSCV_NULL,
    WORST_CLASS,
    WORST_CLASS_NULL,
    WORST_GROUP,
    WORST_GROUP_NULL,
)
from efficient360.methods.uncertainty.conformal_pictures import size_curve, strata_table, summary_table
from efficient360.methods.uncertainty.conformal_scores import known, ranked
from efficient360.methods.uncertainty.conformal_splits import Splits, coverage_law, rank_of, splits
from efficient360.methods.uncertainty.prediction_sets import Answers, Made, Sets, made
from efficient360.methods.uncertainty.resampling import weights
from efficient360.methods.uncertainty.size_strata import violation

CURVE = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Levels on the axis of the picture."""
SIMULATED = 4000
"""Draws of the law of coverage behind its interval."""
HINT = "evaluate more examples"


@final
@dataclass(frozen=True)
class Conformal(Evaluator):
    """Split conformal prediction with THR, APS and RAPS: set size at a given coverage, and coverage by set size, class and group.

    Calibrated on examples of the evaluated split, never on the training split; the others are tested, over many random splits.

    Args:
        methods: thr, aps, raps, each once.
        alphas: Shares of true classes that may be missed; coverage by size, class and group is told for the first.
        splits: How many random splits.
        share: Share of the examples that calibrates.
        raps_penalty: λ of RAPS; its authors' 0.01.
        raps_free: k_reg of RAPS, ranks without a penalty; its authors' 5.
        minimum: Examples that a class, a group or a stratum needs.
        resamples: Draws behind intervals and nulls.
    """

    name: ClassVar[str] = "conformal"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = conformal_metrics.ALL
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    methods: tuple[str, ...] = ("thr", "aps", "raps")
    alphas: tuple[float, ...] = (0.1, 0.05)
    splits: int = 20
    share: float = 0.5
    raps_penalty: float = 0.01
    raps_free: int = 5
    minimum: int = 30
    resamples: int = 200

    def __post_init__(self) -> None:
        least = {"splits": 1, "minimum": 1, "resamples": 2, "raps_free": 0, "raps_penalty": 0}
        for setting, low in least.items():
            if not (value := getattr(self, setting)) >= low:
                raise _bad(setting, value, f"give at least {low}")
        if not 0 < self.share < 1:
            raise _bad("share", self.share, "give a share between 0 and 1; 0.5 is usual")
        names = known(self.raps_penalty, self.raps_free)
        if not self.methods or len(set(self.methods)) < len(self.methods) or not set(self.methods) <= set(names):
            raise _bad("methods", list(self.methods), f"name at least one of {', '.join(names)}, each once")
        if not self.alphas or len(set(self.alphas)) < len(self.alphas) or not all(0 < alpha < 1 for alpha in self.alphas):
            raise _bad("alphas", list(self.alphas), "give shares between 0 and 1, each once; 0.1 is usual")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Set sizes, coverage, and coverage by size, class and group."""
        assert context.examples is not None  # EXAMPLES is among the needs
        if model.num_classes < 2 or len(context.examples) < 2:
            raise Unsupported("too-few-classes", "a set of classes says nothing with fewer than two classes or examples", HINT)
        examples = context.predicted(context.examples)
        logits = clean_logits(model, examples, context.batch_size, context.deadline.check)
        drawn = splits(examples.ids, self.splits, self.share, context.seed)
        answers = Answers(ranked(logits, examples.labels), drawn, context.deadline.check)
        alphas = [alpha for alpha in self.alphas if rank_of(drawn.size, alpha) <= drawn.size]
        yield from (_too_few(alpha, drawn.size) for alpha in self.alphas if alpha not in alphas)
        if not alphas:
            return
        levels = [level for level in CURVE if rank_of(drawn.size, level) <= drawn.size]
        times = weights(len(answers), self.resamples, np.random.default_rng([context.seed, 0]))
        scores = known(self.raps_penalty, self.raps_free)
        found: dict[str, Made] = {}
        for name in self.methods:
            context.progress(len(found), len(self.methods))
            found[name] = made(scores[name], answers, alphas, levels, times)
        titled = {scores[name].title: of for name, of in found.items()}
        figures = (summary_table(titled, drawn), *((size_curve(titled, levels),) if len(levels) > 1 else ()))
        yield from self._sizes(found, model.num_classes, drawn, context.seed, figures)
        first = {name: of.sets[0] for name, of in found.items()}
        yield from self._strata(first, {name: scores[name].title for name in first}, times, context.seed)
        yield from self._parts(first, examples, context.seed)

    def _sizes(self, found: Mapping[str, Made], classes: int, drawn: Splits, seed: int, figures: Sequence[Figure]) -> Iterator[Outcome]:
        for name, of in found.items():
            for sets in of.sets:
                given: Conditions = {"method": name, "alpha": _percent(sets.alpha)}
                n = int(sets.ever.sum())
                size = sets.mean_size
                interval = centred(size, sets.mean_sizes, 0.0, float(classes))
                ends = Interval(_remaining(interval.low, classes), _remaining(interval.high, classes), interval.method)
                yield Measurement(REMAINING, _remaining(size, classes), n, ends, given)
                yield Measurement(SET_SIZE, size, n, interval, given, extra=tuple(figures))
                figures = ()
                coverages = sets.coverages
                around = _around(float(coverages.mean()), sets, drawn, seed)
                yield Measurement(COVERAGE, float(coverages.mean()), n, around, given, tuple(coverages.tolist()))
                for metric, many in ((EMPTY, 0), (SINGLETONS, 1)):
                    yield _share(metric, sets, many, given)

    def _strata(self, first: Mapping[str, Sets], titles: Mapping[str, str], times: Floats, seed: int) -> Iterator[Outcome]:
        alpha = next(iter(first.values())).alpha
        measured = {name: violation(sets, self.minimum, times, np.random.default_rng([seed, 1])) for name, sets in first.items()}
        table = strata_table({titles[name]: of for name, of in measured.items() if of is not None}, alpha)
        figures: tuple[Figure, ...] = (table,)
        for name, of in measured.items():
            given: Conditions = {"method": name, "alpha": _percent(alpha)}
            if of is None:
                message = f"no sets of alike size have {self.minimum} examples"
                yield Failure(Status.UNSUPPORTED, "too-few-examples", message, HINT, SSCV, given)
                continue
            n = round(float(of.sizes.sum()))
            yield Measurement(SSCV, of.value, n, of.interval, given, extra=figures)
            yield Measurement(SSCV_NULL, of.chance, n, of.chance_interval, given)
            figures = ()

    def _parts(self, first: Mapping[str, Sets], examples: Examples, seed: int) -> Iterator[Outcome]:
        for name, sets in first.items():
            given: Conditions = {"method": name, "alpha": _percent(sets.alpha)}
            by_class = Grouping("class", tuple(map(str, np.unique(examples.labels))), np.unique(examples.labels, return_inverse=True)[1].astype(np.int64))
            yield from self._lowest(sets, by_class, (WORST_CLASS, WORST_CLASS_NULL), given, seed)
            for column, values in examples.groups.items():
                yield from self._lowest(sets, group_by(column, values), (WORST_GROUP, WORST_GROUP_NULL), {**given, "groups": column}, seed)

    def _lowest(self, sets: Sets, grouping: Grouping, metrics: tuple[Metric, Metric], given: Conditions, seed: int) -> Iterator[Outcome]:
        of = _tally(sets, grouping, self.minimum)
        if len(of.sizes) < 2:
            message = f"fewer than two of {grouping.name} have {self.minimum} examples"
            yield Failure(Status.UNSUPPORTED, "too-few-examples", message, f"{HINT}, or set conformal.minimum lower", metrics[0], given)
            return
        found = worst_k(of, 1, max(self.resamples, 1000), [seed, 2])
        yield Measurement(metrics[0], found.value, found.n, found.interval, given)
        yield Measurement(metrics[1], found.null_mean, of.n, found.null_interval, given)


def _bad(setting: str, value: object, hint: str) -> SettingsError:
    return SettingsError("bad-setting", f"the setting {setting} of conformal is {value}", hint)


def _too_few(alpha: float, calibrating: int) -> Failure:
    message = f"{calibrating} examples to calibrate are too few to miss only {alpha:g} of the true classes: a set would hold every class"
    return Failure(Status.UNSUPPORTED, "too-few-examples", message, HINT, conditions={"alpha": _percent(alpha)})


def _percent(alpha: float) -> str:
    return f"{100 * alpha:g} %"


def _remaining(size: float, classes: int) -> float:
    return min(1.0, math.log(max(size, 1.0)) / math.log(classes))


def _around(value: float, sets: Sets, drawn: Splits, seed: int) -> Interval:
    """How far the mean coverage of as many splits strays by the law of coverage, put around ``value``."""
    tested = int(sets.tested[:, 0].sum())
    law = coverage_law(drawn.size, tested, sets.alpha)
    means = law.rvs((SIMULATED, drawn.number), np.random.default_rng([seed, 3])).mean(axis=1) / tested
    interval = centred(value, means, 0.0, 1.0)
    return Interval(interval.low, interval.high, "beta-binomial")


def _share(metric: Metric, sets: Sets, many: int, given: Conditions) -> Measurement:
    """Share of sets of so many classes, with Wilson's interval of as many examples as were ever tested."""
    n = int(sets.ever.sum())
    share = float(sets.share(sets.sizes == many)[sets.ever].mean())
    return Measurement(metric, share, n, wilson(round(share * n), n), given)


def _tally(sets: Sets, grouping: Grouping, minimum: int) -> GroupCounts:
    """Examples covered by class or group, those of enough examples; an example covered in some splits only counts in part, and the sum is rounded."""
    codes, covered = grouping.codes[sets.ever], sets.share(sets.covered)[sets.ever]
    sizes: NDArray[np.int64] = np.bincount(codes, minlength=len(grouping.names)).astype(np.int64)
    hits = np.rint(np.bincount(codes, covered, minlength=len(grouping.names))).astype(np.int64)
    chosen = sizes >= minimum
    return GroupCounts(hits[chosen], sizes[chosen])
