"""What a report draws of a network's fit to fast paths."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from efficient360.core.figures import Bars, Figure, Table
from efficient360.core.formatting import scaled, significant
from efficient360.core.measurement import Failure
from efficient360.deployment.hardware_fit.bound import Bound, bound
from efficient360.deployment.hardware_fit.classes import Class, class_of, seconds_by_class
from efficient360.deployment.hardware_fit.delegation import Taken
from efficient360.deployment.hardware_fit.peak import Peak
from efficient360.deployment.hardware_fit.profile import Profile
from efficient360.deployment.hardware_fit.result import Result
from efficient360.deployment.hardware_fit.speed import Speed

KINDS = 8
"""Costliest kinds of operators that are listed for each runtime."""


def figures(results: Sequence[Result], peak: Peak | Failure, twin: Sequence[tuple[str, str]]) -> tuple[Figure, ...]:
    """Speeds against the peak and the twin, time by class with the bound, the costliest kinds, what is not delegated, the twin itself."""
    profiles = {result.label: result.profile for result in results if isinstance(result.profile, Profile)}
    found: list[Figure] = [*_products(profiles), _speeds(results, peak)]
    if profiles:
        found += [_by_class(profiles), *_bounds(profiles), _by_kind(profiles)]
    found += _left(results)
    if twin:
        found.append(Table("The convolutional twin", ("", ""), tuple(twin)))
    return tuple(found)


def _products(profiles: Mapping[str, Profile]) -> Iterator[Figure]:
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


def _speeds(results: Sequence[Result], peak: Peak | Failure) -> Figure:
    rows = [_speed_row(result, peak) for result in results]
    if isinstance(peak, Peak):
        rows.append((f"matrix products alone ({peak.label})", scaled(peak.speed.value, "MAC/s"), "100 %, the peak", "", ""))
    columns = ("Runtime", "Achieved", "Of the peak", "Its twin achieves", "Times the twin")
    return Table("Speed beside the peak and a convolutional network", columns, tuple(rows))


def _speed_row(result: Result, peak: Peak | Failure) -> tuple[str, str, str, str, str]:
    if isinstance(result.own, Failure):
        return result.label, result.own.message, "", "", ""
    share = f"{100 * result.own.over(peak.speed)[0]:.0f} %" if isinstance(peak, Peak) else ""
    achieved = scaled(result.own.value, "MAC/s")
    if not isinstance(result.twin, Speed):
        return result.label, achieved, share, result.twin.message, ""
    return result.label, achieved, share, scaled(result.twin.value, "MAC/s"), significant(result.own.over(result.twin)[0])


def _by_class(profiles: Mapping[str, Profile]) -> Figure:
    times = {label: seconds_by_class(profile.rows) for label, profile in profiles.items()}
    rows = [(str(one), *(_part(found[one], found) for found in times.values())) for one in Class if any(found[one] > 0 for found in times.values())]
    rows.append(("all", *(scaled(sum(found.values()), "s") for found in times.values())))
    return Table("Time of one call by class of operator", ("Class", *times), tuple(rows))


def _part(seconds: float, found: Mapping[Class, float]) -> str:
    return f"{scaled(seconds, 's')} ({100 * seconds / sum(found.values()):.0f} %)" if seconds else ""


def _bounds(profiles: Mapping[str, Profile]) -> Iterator[Figure]:
    found = bound({label: seconds_by_class(profile.rows) for label, profile in profiles.items()})
    if found is not None:
        yield Table("The best operators of all libraries together: a bound that none reaches", ("Class", "Fastest", "Time"), tuple(_bound_rows(found)))


def _bound_rows(found: Bound) -> Iterator[tuple[str, str, str]]:
    for one, (label, seconds) in found.best.items():
        yield str(one), label, scaled(seconds, "s") if seconds else "none: it is part of other kernels there"
    yield "sum, a lower bound on time", f"at most {significant(found.speedup)} × as fast as {found.single}", scaled(found.seconds, "s")
    yield "not counted", "handing data from one library's layout to another's; work that a library fuses into another class", ""


def _by_kind(profiles: Mapping[str, Profile]) -> Figure:
    rows = [row for label, profile in profiles.items() for row in _kind_rows(label, profile)]
    return Table(f"The {KINDS} costliest kinds of operators", ("Runtime", "Kind", "Class", "Operators", "Time", "Share", "Ran on"), tuple(rows))


def _kind_rows(label: str, profile: Profile) -> Iterator[tuple[str | int | float, ...]]:
    seconds: Counter[tuple[str, str]] = Counter()
    number: Counter[tuple[str, str]] = Counter()
    for row in profile.rows:
        key = str(row["kind"]), str(row["place"])
        seconds[key] += row["seconds"]
        number[key] += 1
    total = seconds.total()
    for (kind, place), spent in seconds.most_common(KINDS):
        yield label, kind, str(class_of(kind)), number[kind, place], scaled(spent, "s"), f"{100 * spent / total:.0f} %", place


def _left(results: Sequence[Result]) -> Iterator[Figure]:
    found = [(result.label, result.taken) for result in results if isinstance(result.taken, Taken)]
    rows = [
        (label, taken.to, kind, str(class_of(kind)), number)
        for label, taken in found
        for kind, number in sorted(taken.left.items(), key=lambda item: (-item[1], item[0]))
    ]
    if rows:
        yield Table("Operators that the fast path leaves", ("Runtime", "Fast path", "Kind", "Class", "Operators"), tuple(rows))
