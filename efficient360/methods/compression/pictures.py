"""Compressed networks as figures: accuracy against size and work, everything in a table, and what the numbers do not decide."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.findings import Finding
from efficient360.core.formatting import count, interval, number, significant
from efficient360.methods.compression import metrics
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import words_of
from efficient360.methods.compression.trial import Trial

FINE: Final = 0.001
"""The loss that clustering with 64 clusters is said to stay under (Tabani et al. 2021): a tenth of a point."""
SAID_OF: Final = Clustering(64)
Z: Final = 1.96
"""Half the width of a 95 % interval in standard errors."""


def points(share: float) -> str:
    """A share of accuracy in percentage points: ``1 point``, ``0.5 points``."""
    return f"{100 * share:g} point{'' if share == 0.01 else 's'}"


def against_size(trials: Sequence[Trial], chosen: Trial | None) -> Curve:
    """Accuracy against how many times smaller the file is; a line for each way to make it so, and the variant that scores."""
    smaller = [t for t in trials if t.ratio != 1]
    mark = [] if chosen is None else [Series("smallest within tolerance", (chosen.ratio,), (chosen.accuracy,), style="points")]
    lines, reference = _lines(smaller, lambda t: t.ratio), _as_it_is(trials[0], max([t.ratio for t in smaller] + [2.0]))
    return Curve("Accuracy against compression", "times smaller than in float32", "top-1 accuracy", (*lines, *mark, reference), x_log=True)


def against_work(trials: Sequence[Trial]) -> Curve | None:
    """Accuracy against how many times fewer multiply-adds it takes; ``None`` where no variant computes less."""
    fewer = [t for t in trials if t.macs_ratio not in (None, 1)]
    if not fewer:
        return None
    reference = _as_it_is(trials[0], max(_work(t) for t in fewer))
    return Curve("Accuracy against work", "times fewer multiply-adds", "top-1 accuracy", (*_lines(fewer, _work), reference))


def table(trials: Sequence[Trial], chosen: Trial | None, tolerance: float) -> Table:
    """A row for each variant."""
    rows = []
    for t in trials:
        work = "–" if t.macs_ratio is None else f"{100 / t.macs_ratio:.0f} %"
        rows.append(
            (
                t.compressor.title,
                words_of(t.compressor) or "–",
                number(t.bytes, metrics.BYTES),
                number(t.ratio, metrics.RATIO),
                number(t.accuracy, metrics.ACCURACY),
                number(t.change, metrics.CHANGE),
                interval(t.change_interval, metrics.CHANGE),
                number(float(t.same.mean()), metrics.SAME),
                work,
            )
        )
    told = "none is" if chosen is None else f"{_named(chosen)} is the smallest"
    title = f"What was tried, on {count(len(trials[0].right))} images: {told} within {points(tolerance)}"
    return Table(title, ("Way", "Strength", "File", "Times smaller", "Top-1", "Change", "95 % interval", "Same answers", "MACs"), tuple(rows))


def findings(trials: Sequence[Trial], tolerance: float) -> Iterator[Finding]:
    """What the numbers do not decide."""
    undecided = [t for t in trials if t.change_interval.low < -tolerance < t.change_interval.high]
    if undecided:
        names = ", ".join(map(_named, undecided))
        message = f"these images don't decide whether {len(undecided)} of {len(trials)} variants lose more than {points(tolerance)}: {names}"
        yield Finding("undecided", message, "raise compression.examples")
    for t in trials:
        if t.compressor == SAID_OF and t.discordance:
            needed = int(float(significant(t.discordance * (Z / FINE) ** 2, 2)))
            told = interval(t.change_interval, metrics.CHANGE)
            message = f"64 clusters change the accuracy by {told}; to tell a loss of 0.1 points takes some {count(needed)} images"
            yield Finding("fine-loss", message, "take the interval, not the claim, or raise compression.examples")


def _named(trial: Trial) -> str:
    words = words_of(trial.compressor)
    return f"{trial.compressor.title} ({words})" if words else trial.compressor.title


def _work(trial: Trial) -> float:
    assert trial.macs_ratio is not None
    return trial.macs_ratio


def _as_it_is(trial: Trial, widest: float) -> Series:
    return Series("as it is", (1.0, widest), (trial.accuracy_before, trial.accuracy_before), style="reference")


def _lines(trials: Sequence[Trial], x: Callable[[Trial], float]) -> Iterator[Series]:
    for title in dict.fromkeys(t.compressor.title for t in trials):
        found = sorted((t for t in trials if t.compressor.title == title), key=x)
        ends = [t.accuracy_interval for t in found]
        yield Series(
            title,
            tuple(x(t) for t in found),
            tuple(t.accuracy for t in found),
            tuple(e.low for e in ends),
            tuple(e.high for e in ends),
            style="line" if len(found) > 1 else "points",
        )
