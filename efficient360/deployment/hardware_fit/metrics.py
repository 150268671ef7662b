"""How well a network fits fast paths, in numbers and figures: metrics, their measurements, and what the report draws."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from efficient360.core.figures import Bars, Figure, Table
from efficient360.core.formatting import scaled, significant
from efficient360.core.measurement import ONE, SECOND, Better, Conditions, Failure, Interval, Measurement, Metric, Outcome, Unit
from efficient360.core.statistics import value_range
from efficient360.deployment.hardware_fit.delegation import DelegationSummary
from efficient360.deployment.hardware_fit.measurement import RuntimeFit
from efficient360.deployment.hardware_fit.npu import ACCELERATOR, COMPILER, Estimate
from efficient360.deployment.hardware_fit.operator_times import BestKernelBound, OperatorClass, OperatorProfile, best_kernel_bound, class_of, seconds_by_class
from efficient360.deployment.hardware_fit.speed import PeakSpeed, Speed

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


def peak_outcome(peak: PeakSpeed | Failure, conditions: Conditions) -> Outcome:
    """The peak itself."""
    if isinstance(peak, Failure):
        return replace(peak, metric=PEAK_MACS, conditions=conditions)
    return Measurement(PEAK_MACS, peak.speed.value, interval=peak.speed.interval, conditions={**conditions, "reached_by": peak.label})


def speed_outcomes(own: Speed | Failure, twin: Speed | Failure, peak: PeakSpeed | Failure, conditions: Conditions) -> Iterator[Outcome]:
    """Utilisation, and the ratio to the twin."""
    failed = next((result for result in (own, peak) if isinstance(result, Failure)), None)
    if failed is not None:
        yield replace(failed, metric=UTILISATION, conditions=conditions)
    elif isinstance(own, Speed) and isinstance(peak, PeakSpeed):
        yield Measurement(UTILISATION, *_value_and_interval(own.over(peak.speed)), conditions=conditions)
    if isinstance(own, Failure):
        yield replace(own, metric=TWIN_RATIO, conditions=conditions)
    elif isinstance(twin, Failure):
        yield replace(twin, metric=TWIN_RATIO, conditions=conditions)
    else:
        yield Measurement(TWIN_RATIO, *_value_and_interval(own.over(twin)), conditions=conditions)


def _value_and_interval(ratio: tuple[float, Interval]) -> tuple[float, int, Interval]:
    return ratio[0], 1, ratio[1]


def profile_outcome(profile: OperatorProfile | Failure, conditions: Conditions) -> Outcome:
    """Share of time in products."""
    if isinstance(profile, Failure):
        return replace(profile, metric=PRODUCT_TIME, conditions=conditions)
    return Measurement(PRODUCT_TIME, profile.share, len(profile.shares), value_range(profile.shares), conditions, profile.shares, repeatable=False)


def delegation_outcomes(delegation: DelegationSummary | Failure, conditions: Conditions) -> Iterator[Outcome]:
    """Delegated operators, MACs where they can be told, partitions where there are any."""
    if isinstance(delegation, Failure):
        yield replace(delegation, metric=DELEGATED_OPERATORS, conditions=conditions)
        return
    where = {**conditions, "to": delegation.to}
    yield Measurement(DELEGATED_OPERATORS, delegation.delegated / delegation.total, delegation.total, conditions=where)
    if delegation.macs_share is not None:
        yield Measurement(DELEGATED_MACS, delegation.macs_share, conditions=where)
    if delegation.partitions is not None:
        yield Measurement(PARTITIONS, delegation.partitions, conditions=where)


def estimate_outcomes(estimate: Estimate | Failure) -> Iterator[Outcome]:
    """The estimate with its source beside it."""
    where: Conditions = {"estimate": COMPILER, "accelerator": ACCELERATOR}
    if isinstance(estimate, Failure):
        yield replace(estimate, metric=NPU_ESTIMATE, conditions=where)
        return
    where = {**where, "system": estimate.system}
    yield Measurement(NPU_ESTIMATE, estimate.seconds, conditions=where)
    yield Measurement(NPU_OPERATORS, estimate.operators, conditions=where)


KINDS = 8
"""Costliest kinds of operators that are listed for each runtime."""


def figures(results: Sequence[RuntimeFit], peak: PeakSpeed | Failure, twin: Sequence[tuple[str, str]]) -> tuple[Figure, ...]:
    """Speeds against the peak and the twin, time by class with the bound, the costliest kinds, what is not delegated, the twin itself."""
    profiles = {result.label: result.profile for result in results if isinstance(result.profile, OperatorProfile)}
    drawn: list[Figure] = [*_products(profiles), _speeds(results, peak)]
    if profiles:
        drawn += [_by_class(profiles), *_bounds(profiles), _by_kind(profiles)]
    drawn += _left(results)
    if twin:
        drawn.append(Table("The convolutional twin", ("", ""), tuple(twin)))
    return tuple(drawn)


def _products(profiles: Mapping[str, OperatorProfile]) -> Iterator[Figure]:
    if profiles:
        shares = [profile.shares for profile in profiles.values()]
        yield Bars(
            "Share of the time in matrix products and convolutions",
            "",
            "%",
            tuple(profiles),
            tuple(100 * p.share for p in profiles.values()),
            tuple(100 * min(s) for s in shares),
            tuple(100 * max(s) for s in shares),
        )


def _speeds(results: Sequence[RuntimeFit], peak: PeakSpeed | Failure) -> Figure:
    rows = [_speed_row(result, peak) for result in results]
    if isinstance(peak, PeakSpeed):
        rows.append((f"matrix products alone ({peak.label})", scaled(peak.speed.value, "MAC/s"), "100 %, the peak", "", ""))
    columns = ("Runtime", "Achieved", "Of the peak", "Its twin achieves", "Times the twin")
    return Table("Speed beside the peak and a convolutional network", columns, tuple(rows))


def _speed_row(result: RuntimeFit, peak: PeakSpeed | Failure) -> tuple[str, str, str, str, str]:
    if isinstance(result.own, Failure):
        return result.label, result.own.message, "", "", ""
    share = f"{100 * result.own.over(peak.speed)[0]:.0f} %" if isinstance(peak, PeakSpeed) else ""
    achieved = scaled(result.own.value, "MAC/s")
    if not isinstance(result.twin, Speed):
        return result.label, achieved, share, result.twin.message, ""
    return result.label, achieved, share, scaled(result.twin.value, "MAC/s"), significant(result.own.over(result.twin)[0])


def _by_class(profiles: Mapping[str, OperatorProfile]) -> Figure:
    times = {label: seconds_by_class(profile.rows) for label, profile in profiles.items()}
    rows = [
        (str(kind), *(_part(seconds[kind], seconds) for seconds in times.values()))
        for kind in OperatorClass
        if any(seconds[kind] > 0 for seconds in times.values())
    ]
    rows.append(("all", *(scaled(sum(seconds.values()), "s") for seconds in times.values())))
    return Table("Time of one call by class of operator", ("Class", *times), tuple(rows))


def _part(seconds: float, by_class: Mapping[OperatorClass, float]) -> str:
    return f"{scaled(seconds, 's')} ({100 * seconds / sum(by_class.values()):.0f} %)" if seconds else ""


def _bounds(profiles: Mapping[str, OperatorProfile]) -> Iterator[Figure]:
    bound = best_kernel_bound({label: seconds_by_class(profile.rows) for label, profile in profiles.items()})
    if bound is not None:
        yield Table(
            "The best operators of all libraries together: a bound that none reaches",
            ("Class", "Fastest", "Time"),
            tuple(_bound_rows(bound)),
        )


def _bound_rows(bound: BestKernelBound) -> Iterator[tuple[str, str, str]]:
    for kind, (label, seconds) in bound.best.items():
        yield str(kind), label, scaled(seconds, "s") if seconds else "none: it is part of other kernels there"
    yield "sum, a lower bound on time", f"at most {significant(bound.speedup)} × as fast as {bound.single}", scaled(bound.seconds, "s")
    yield "not counted", "handing data from one library's layout to another's; work that a library fuses into another class", ""


def _by_kind(profiles: Mapping[str, OperatorProfile]) -> Figure:
    rows = [row for label, profile in profiles.items() for row in _kind_rows(label, profile)]
    return Table(f"The {KINDS} costliest kinds of operators", ("Runtime", "Kind", "Class", "Operators", "Time", "Share", "Ran on"), tuple(rows))


def _kind_rows(label: str, profile: OperatorProfile) -> Iterator[tuple[str | int | float, ...]]:
    seconds: Counter[tuple[str, str]] = Counter()
    number: Counter[tuple[str, str]] = Counter()
    for row in profile.rows:
        key = str(row["kind"]), str(row["place"])
        seconds[key] += row["seconds"]
        number[key] += 1
    total = seconds.total()
    for (kind, place), spent in seconds.most_common(KINDS):
        yield label, kind, str(class_of(kind)), number[kind, place], scaled(spent, "s"), f"{100 * spent / total:.0f} %", place


def _left(results: Sequence[RuntimeFit]) -> Iterator[Figure]:
    delegations = [(result.label, result.delegation) for result in results if isinstance(result.delegation, DelegationSummary)]
    rows = [
        (label, delegation.to, kind, str(class_of(kind)), number)
        for label, delegation in delegations
        for kind, number in sorted(delegation.left.items(), key=lambda item: (-item[1], item[0]))
    ]
    if rows:
        yield Table("Operators that the fast path leaves", ("Runtime", "Fast path", "Kind", "Class", "Operators"), tuple(rows))
