"""Figures and validity warnings of compressed networks: accuracy against size and against work, and a table of all variants."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.findings import Finding
from efficient360.core.formatting import count, interval, number, significant
from efficient360.methods.compression import metrics
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import describe_strength
from efficient360.methods.compression.results import VariantResult, points

CLAIMED_LOSS: Final = 0.001
"""The loss that clustering with 64 clusters is claimed to stay below (Tabani et al. 2021): a tenth of a point."""
CLAIMED_FOR: Final = Clustering(64)
Z: Final = 1.96
"""Half the width of a 95 % interval in standard errors."""


def accuracy_by_size(results: Sequence[VariantResult], best: VariantResult | None) -> Curve:
    """Accuracy against compression ratio; a line for each compressor, and the variant that is scored."""
    smaller = [r for r in results if r.ratio != 1]
    mark = [] if best is None else [Series("smallest within tolerance", (best.ratio,), (best.accuracy,), style="points")]
    lines, reference = _lines(smaller, lambda r: r.ratio), _uncompressed(results[0], max([r.ratio for r in smaller] + [2.0]))
    return Curve("Accuracy against compression", "compression ratio (float32 = 1)", "top-1 accuracy", (*lines, *mark, reference), x_log=True)


def accuracy_by_work(results: Sequence[VariantResult]) -> Curve | None:
    """Accuracy against MAC reduction; ``None`` where no variant computes less."""
    fewer = [r for r in results if _mac_reduction(r) != 1]
    if not fewer:
        return None
    reference = _uncompressed(results[0], max(map(_mac_reduction, fewer)))
    return Curve("Accuracy against computation", "MAC reduction (times fewer)", "top-1 accuracy", (*_lines(fewer, _mac_reduction), reference))


def variants_table(results: Sequence[VariantResult], best: VariantResult | None, tolerance: float) -> Table:
    """A row for each variant."""
    rows = []
    for r in results:
        macs = "–" if r.macs_ratio is None else f"{100 / r.macs_ratio:.0f} %"
        rows.append(
            (
                r.compressor.title,
                describe_strength(r.compressor) or "–",
                number(r.bytes, metrics.BYTES),
                number(r.ratio, metrics.RATIO),
                number(r.accuracy, metrics.ACCURACY),
                number(r.change, metrics.CHANGE),
                interval(r.change_interval, metrics.CHANGE),
                number(float(r.agrees.mean()), metrics.SAME),
                macs,
            )
        )
    verdict = "none is" if best is None else f"{_title(best)} is the smallest"
    title = f"Variants on {count(len(results[0].correct))} images: {verdict} within {points(tolerance)} of accuracy"
    return Table(title, ("Compressor", "Strength", "File", "Ratio", "Top-1", "Change", "95 % interval", "Agreement", "MACs"), tuple(rows))


def validity_warnings(results: Sequence[VariantResult], tolerance: float) -> Iterator[Finding]:
    """What these images can't decide."""
    undecided = [r for r in results if r.change_interval.low < -tolerance < r.change_interval.high]
    if undecided:
        names = ", ".join(map(_title, undecided))
        message = f"these images don't decide whether {len(undecided)} of {len(results)} variants lose more than {points(tolerance)}: {names}"
        yield Finding("undecided", message, "raise compression.examples")
    for r in results:
        if r.compressor == CLAIMED_FOR and r.discordance:
            needed = images_to_resolve(r, CLAIMED_LOSS)
            change = interval(r.change_interval, metrics.CHANGE)
            message = f"64 clusters change the accuracy by {change}; to resolve a loss of 0.1 points takes about {count(needed)} images"
            yield Finding("fine-loss", message, "rely on the interval, not on the published claim, or raise compression.examples")


def images_to_resolve(result: VariantResult, loss: float) -> int:
    """About how many images it takes to tell a loss from none, at the share that only one of the two networks classifies correctly."""
    return int(float(significant(result.discordance * (Z / loss) ** 2, 2)))


def _title(result: VariantResult) -> str:
    strength = describe_strength(result.compressor)
    return f"{result.compressor.title} ({strength})" if strength else result.compressor.title


def _mac_reduction(result: VariantResult) -> float:
    return 1.0 if result.macs_ratio is None else result.macs_ratio


def _uncompressed(result: VariantResult, widest: float) -> Series:
    return Series("uncompressed", (1.0, widest), (result.accuracy_before, result.accuracy_before), style="reference")


def _lines(results: Sequence[VariantResult], x: Callable[[VariantResult], float]) -> Iterator[Series]:
    for title in dict.fromkeys(r.compressor.title for r in results):
        line = sorted((r for r in results if r.compressor.title == title), key=x)
        intervals = [r.accuracy_interval for r in line]
        yield Series(
            title,
            tuple(x(r) for r in line),
            tuple(r.accuracy for r in line),
            tuple(i.low for i in intervals),
            tuple(i.high for i in intervals),
            style="line" if len(line) > 1 else "points",
        )
