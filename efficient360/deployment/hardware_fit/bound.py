"""What the best operator of each library would give together: a bound that no library reaches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from efficient360.deployment.hardware_fit.classes import Class


@final
@dataclass(frozen=True)
class Bound:
    """The least time of each class of operators over the runtimes.

    The sum is a lower bound on time for these libraries' kernels as they are, and so an upper bound on speed: nothing is paid for handing data from one
    library's layout to another's. Where libraries fuse differently the same work stands in different classes (a softmax inside one's attention kernel,
    apart in another's), and the sum can then leave work out altogether.

    Args:
        seconds: Sum over classes.
        best: For each class with time in it, the runtime with the least and its seconds.
        single: The runtime with the least sum over classes.
        single_seconds: That sum.
    """

    seconds: float
    best: Mapping[Class, tuple[str, float]]
    single: str
    single_seconds: float

    @property
    def speedup(self) -> float:
        """How many times faster than the best single runtime, at most; at least 1."""
        return self.single_seconds / self.seconds


def bound(times: Mapping[str, Mapping[Class, float]]) -> Bound | None:
    """The best of each class.

    Args:
        times: Seconds of one call by class, by runtime; a class that is missing counts as 0, for its work is part of another kernel there.

    Returns:
        The bound; ``None`` with fewer than two runtimes that told times, or where every class costs nothing in one of them.
    """
    told = {runtime: seconds for runtime, seconds in times.items() if sum(seconds.values()) > 0}
    if len(told) < 2:
        return None
    best = {}
    for one in Class:
        seconds, runtime = min((found.get(one, 0.0), runtime) for runtime, found in told.items())
        if any(found.get(one, 0.0) > 0 for found in told.values()):
            best[one] = runtime, seconds
    total = sum(seconds for _, seconds in best.values())
    single_seconds, single = min((sum(found.values()), runtime) for runtime, found in told.items())
    return Bound(total, best, single, single_seconds) if total > 0 else None
