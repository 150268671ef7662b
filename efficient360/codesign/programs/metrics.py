"""What is measured of a variant of a program, and how its answers are compared with its network's."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from efficient360.codesign.programs.program import Answers
from efficient360.core.arrays import Floats
from efficient360.core.measurement import ONE, SECOND, Better, Interval, Measurement, Metric
from efficient360.core.statistics import clopper_pearson, mean_interval, paired_interval
from efficient360.deployment.devices.latency_metrics import ARTEFACT_BYTES, COLD_START, RUNTIME_MEMORY
from efficient360.deployment.runtimes.parity import AGREEMENT, TOLERANCE
from efficient360.deployment.runtimes.runtime import Precision

P50: Final = Metric("latency_p50", SECOND, Better.LOWER, "Median time of one whole call (an answer, from prompt to last token) over undisturbed runs.", low=0)
P90: Final = Metric("latency_p90", SECOND, Better.LOWER, "90th percentile of the time of one whole call, over all runs.", low=0)
TOKEN: Final = Metric("token_latency", SECOND, Better.LOWER, "Median time of an answer by the number of tokens read and generated in it.", low=0)
QUALITY: Final = Metric("quality", ONE, Better.HIGHER, "Mean quality over examples, as the problem's own judge gives it.", low=0, high=1)
DROP: Final = Metric(
    "quality_drop",
    ONE,
    Better.LOWER,
    "Quality lost against the original on the same examples.",
    "interval of paired values: Newcombe 1998, method 10, where they are 0 or 1; bootstrap of differences else",
    low=-1,
    high=1,
)
COSTS: Final = (P50, ARTEFACT_BYTES, RUNTIME_MEMORY, COLD_START, P90)
LOOP_COSTS: Final = (*COSTS, TOKEN)
QUALITIES: Final = (DROP, QUALITY)


def qualities(original: Floats, variant: Floats, seed: int) -> dict[str, Measurement]:
    """Quality of a variant and what it lost, by name of the metric.

    Args:
        original: Values of the original, ``(n,)`` in [0, 1], at least one.
        variant: The variant's on the same examples.
        seed: Of resamples.
    """
    n, lost = len(original), original - variant
    if np.ptp(lost) or set(np.unique([original, variant])) <= {0.0, 1.0}:
        interval = paired_interval(variant, original, seed)
    else:  # no example differs from another, so resamples tell nothing: a new one might lose or win everything as often as n alike allow
        reach = clopper_pearson(0, n).high
        interval = Interval(max(-1.0, float(lost[0]) - reach), min(1.0, float(lost[0]) + reach), "clopper-pearson, all alike")
    return {
        DROP.name: Measurement(DROP, float(lost.mean()), n, interval),
        QUALITY.name: Measurement(QUALITY, float(variant.mean()), n, mean_interval(variant, seed)),
    }


def difference(reference: Answers, answers: Answers, precision: Precision) -> str:
    """Why an artefact does not count, ``""`` when it does: answers must be those of its own network in PyTorch.

    The measure of floating-point outputs is that of the image path: the mean difference as a share of the spread, held against the precision's tolerance.
    Integers, which small differences of what they were chosen by may overturn, are held against each other only where nothing floating is returned.
    """
    floating = [name for name, values in reference.items() if np.issubdtype(values.dtype, np.floating)]
    for name in reference:
        if name not in answers or answers[name].shape != reference[name].shape:
            return f"it returns no {name} of shape {reference[name].shape}"
    for name in floating:
        true, told = reference[name].astype(np.float64), answers[name].astype(np.float64)
        if not np.isfinite(told).all():
            return f"{name} is not finite"
        spread = float(np.abs(true - true.mean()).mean())
        share = float(np.abs(true - told).mean()) / spread if spread else float(np.abs(true - told).max() > 0)
        if share > TOLERANCE[precision]:
            return f"{name} is off by {100 * share:.3g} % of its spread, {100 * TOLERANCE[precision]:.3g} % are allowed"
    if not floating:
        same = _share_same([(reference[name], answers[name]) for name in reference])
        if same < AGREEMENT:
            return f"{100 * (1 - same):.3g} % of its integers differ"
    return ""


def _share_same(pairs: Sequence[tuple[object, object]]) -> float:
    return float(np.mean([np.mean(np.asarray(one) == np.asarray(other)) for one, other in pairs]))
