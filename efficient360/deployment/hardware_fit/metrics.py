"""What is told of a network's fit to fast paths, as metrics and their measurements."""

from collections.abc import Iterator
from dataclasses import replace

from efficient360.core.measurement import ONE, SECOND, Better, Conditions, Failure, Interval, Measurement, Metric, Outcome, Unit
from efficient360.deployment.hardware_fit.delegation import Taken
from efficient360.deployment.hardware_fit.npu import ACCELERATOR, COMPILER, Estimate
from efficient360.deployment.hardware_fit.peak import Peak
from efficient360.deployment.hardware_fit.profile import Profile
from efficient360.deployment.hardware_fit.speed import Speed

MACS_PER_SECOND = Unit("MAC/s")
DELEGATED_OPERATORS = Metric(
    "delegated_operators",
    ONE,
    Better.HIGHER,
    "Share of the operators that a runtime's fast path takes, each counted once whatever it costs.",
    low=0,
    high=1,
)
DELEGATED_MACS = Metric("delegated_macs", ONE, Better.HIGHER, "Share of the multiply-adds that a runtime's fast path takes.", low=0, high=1)
PARTITIONS = Metric(
    "partitions",
    ONE,
    Better.LOWER,
    "Pieces that the network falls into on the fast path; data is handed over between any two of them.",
    low=0,
)
UTILISATION = Metric(
    "utilisation",
    ONE,
    Better.HIGHER,
    "Multiply-adds a second at batch 1 over the device's peak; above 1 where an algorithm spares multiplications or computes in fewer bits.",
    low=0,
)
PEAK_MACS = Metric(
    "peak_macs",
    MACS_PER_SECOND,
    Better.NEITHER,
    "The most multiply-adds a second that a network of nothing but large fp32 matrix products reaches on the device in the runtimes tried.",
    low=0,
)
PRODUCT_TIME = Metric(
    "product_time_share",
    ONE,
    Better.HIGHER,
    "Share of the operators' time in matrix products, attention and convolutions, which accelerators speed up.",
    low=0,
    high=1,
)
TWIN_RATIO = Metric(
    "twin_ratio",
    ONE,
    Better.HIGHER,
    "Multiply-adds a second over those of a plain convolutional network with as many MACs on the same image size: 1 is as friendly as a CNN.",
    low=0,
)
NPU_ESTIMATE = Metric(
    "npu_estimate",
    SECOND,
    Better.LOWER,
    "An estimate, not a measurement: what an embedded accelerator's compiler expects of one inference in int8, the part on the accelerator alone.",
    low=0,
)
NPU_OPERATORS = Metric(
    "npu_operators",
    ONE,
    Better.HIGHER,
    "Share of the operators in int8 that an embedded accelerator's compiler puts on it.",
    low=0,
    high=1,
)
ALL = (UTILISATION, TWIN_RATIO, PRODUCT_TIME, DELEGATED_OPERATORS, DELEGATED_MACS, PARTITIONS, PEAK_MACS, NPU_ESTIMATE, NPU_OPERATORS)


def peak_outcome(peak: Peak | Failure, conditions: Conditions) -> Outcome:
    """The peak itself."""
    if isinstance(peak, Failure):
        return replace(peak, metric=PEAK_MACS, conditions=conditions)
    return Measurement(PEAK_MACS, peak.speed.value, interval=peak.speed.interval, conditions={**conditions, "reached_by": peak.label})


def speed_outcomes(own: Speed | Failure, twin: Speed | Failure, peak: Peak | Failure, conditions: Conditions) -> Iterator[Outcome]:
    """Utilisation, and the ratio to the twin."""
    failed = next((one for one in (own, peak) if isinstance(one, Failure)), None)
    if failed is not None:
        yield replace(failed, metric=UTILISATION, conditions=conditions)
    elif isinstance(own, Speed) and isinstance(peak, Peak):
        yield Measurement(UTILISATION, *_split(own.over(peak.speed)), conditions=conditions)
    if isinstance(own, Speed) and isinstance(twin, Speed):
        yield Measurement(TWIN_RATIO, *_split(own.over(twin)), conditions=conditions)
    else:
        why = own if isinstance(own, Failure) else twin
        assert isinstance(why, Failure)
        yield replace(why, metric=TWIN_RATIO, conditions=conditions)


def _split(found: tuple[float, Interval]) -> tuple[float, int, Interval]:
    return found[0], 1, found[1]


def profile_outcome(profile: Profile | Failure, conditions: Conditions) -> Outcome:
    """Share of time in products."""
    if isinstance(profile, Failure):
        return replace(profile, metric=PRODUCT_TIME, conditions=conditions)
    ends = Interval(min(profile.shares), max(profile.shares), "range")
    return Measurement(PRODUCT_TIME, profile.share, len(profile.shares), ends, conditions, profile.shares)


def taken_outcomes(taken: Taken | Failure, conditions: Conditions) -> Iterator[Outcome]:
    """Delegated operators, MACs where they can be told, partitions where there are any."""
    if isinstance(taken, Failure):
        yield replace(taken, metric=DELEGATED_OPERATORS, conditions=conditions)
        return
    given = {**conditions, "to": taken.to}
    yield Measurement(DELEGATED_OPERATORS, taken.delegated / taken.total, taken.total, conditions=given)
    if taken.macs_share is not None:
        yield Measurement(DELEGATED_MACS, taken.macs_share, conditions=given)
    if taken.partitions is not None:
        yield Measurement(PARTITIONS, taken.partitions, conditions=given)


def estimate_outcomes(estimate: Estimate | Failure) -> Iterator[Outcome]:
    """The estimate with its source beside it."""
    given: Conditions = {"estimate": COMPILER, "accelerator": ACCELERATOR}
    if isinstance(estimate, Failure):
        yield replace(estimate, metric=NPU_ESTIMATE, conditions=given)
        return
    given = {**given, "system": estimate.system}
    yield Measurement(NPU_ESTIMATE, estimate.seconds, conditions=given)
    yield Measurement(NPU_OPERATORS, estimate.operators, conditions=given)
