"""How long a run still takes: what its evaluators are known to cost, at the model's speed, scaled by what this run took so far."""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from efficient360.core.measurement import Measurement
from efficient360.execution.costs import Circumstances, Cost, expected_seconds, recorded
from efficient360.execution.events import Event, Finished, Opened, Progress, Started

TELLING_STEPS: Final = 2
"""Steps after the first from which an evaluator's own pace counts: the first loads, converts and warms up, and says little of the others."""
TELLING_SHARE: Final = 0.05
"""Likewise, of all its steps."""
_PATIENCE: Final = 15.0
"""Seconds below which an evaluator is never late."""
_WEIGHT: Final = 1 / 6
"""Share of the whole table's seconds that weighs as much as what was measured: a few quick evaluators scale little."""
_LEAST_SCALE: Final = 0.25
_MOST_SCALE: Final = 4.0
_BEYOND: Final = 3.0
"""Times its expected cost that an evaluator without a pace of its own may take before the forecast has nothing to say."""


@final
@dataclass
class _Current:
    """The evaluator in hand."""

    name: str
    began: float
    first: tuple[float, int] | None = None
    """When its first steps were done, and how many those were."""
    latest: Progress | None = None
    at: float = 0.0

    def take(self, event: Progress, now: float) -> None:
        """Note its progress; another number of steps, or fewer done, begins anew."""
        if self.latest is not None and (event.total != self.latest.total or event.done < self.latest.done):
            self.first = None
        self.latest, self.at = event, now
        if event.done and self.first is None:
            self.first = now, event.done

    def own_pace(self) -> tuple[float, float] | None:
        """Seconds left at the pace since its first step, as of its latest one, and the share that is done; ``None`` while too few steps tell it."""
        if self.first is None or self.latest is None:
            return None
        steps = self.latest.done - self.first[1]
        if steps < max(TELLING_STEPS, TELLING_SHARE * self.latest.total):
            return None
        return (self.at - self.first[0]) / steps * (self.latest.total - self.latest.done), self.latest.done / self.latest.total


@functools.cache
def installed_runtimes() -> int:
    """Number of runtimes that this machine has, at least 1."""
    from efficient360.deployment.runtimes import catalogue

    runtimes = map(catalogue.runtime, catalogue.names())
    return max(1, sum(not catalogue.missing(runtime) and not runtime.unavailable() for runtime in runtimes))


@final
@dataclass
class Forecast:
    """Takes a run's events, and says what they let expect.

    Args:
        clock: Seconds, as ``time.monotonic``.
        costs: What evaluators are known to cost, by name; asked when a run opens.
        runtimes: Number of runtimes installed here; asked at most once, as it searches for packages.
    """

    clock: Callable[[], float] = time.monotonic
    costs: Callable[[], Mapping[str, Cost]] = field(default=recorded)
    runtimes: Callable[[], int] = field(default=installed_runtimes)
    _began: float = field(init=False)
    _until: float | None = None
    _expected: dict[str, float | None] = field(default_factory=dict)
    """Seconds of each planned evaluator; ``None`` where no cost is known."""
    _open: list[str] = field(default_factory=list)
    _total: int = 0
    _current: _Current | None = None
    _taken: float = 0.0
    _foretold: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._began

    @property
    def planned(self) -> int:
        """How many evaluators are still to run."""
        return len(self._open)

    @property
    def unknown(self) -> int:
        """How many evaluators that are still to run have no known cost."""
        return sum(self._expected[name] is None for name in self._open) + max(0, self._total - len(self._expected))

    @property
    def share_done(self) -> float:
        """In [0, 1]: what is done, by cost where costs are known."""
        left = self.left()
        return 0.0 if left is None else (1.0 if left <= 0 else self.elapsed / (self.elapsed + left))

    def take(self, event: Event) -> None:
        """Learn from an event."""
        now = self.clock()
        if isinstance(event, Opened):
            self._take_opened(event, now)
        elif isinstance(event, Started):
            self._total = event.total
            self._current = _Current(event.evaluator, now)
        elif isinstance(event, Finished):
            self._take_finished(event)
        elif isinstance(event, Progress) and self._current is not None and event.work == self._current.name:
            self._current.take(event, now)

    def left(self) -> float | None:
        """Seconds that the evaluators of known cost still take; ``None`` where too little is known to say."""
        if not self._expected:
            return None
        known = [name for name in self._open if self._expected[name] is not None]
        if self._open and not known:
            return None
        now = self.clock()
        current = None if self._current is None else self._current.name
        seconds = self._scale(now) * sum(self._expected[name] or 0.0 for name in known if name != current)
        if self._current is not None and current in known:
            of_current = _left_of(self._current, self._scale(None) * (self._expected[current] or 0.0), now)
            if of_current is None:
                return None
            seconds += of_current
        return seconds if self._until is None else max(0.0, min(seconds, self._until - now))

    def _take_opened(self, event: Opened, now: float) -> None:
        dataset, planned = event.header.get("dataset"), event.header.get("protocol", {}).get("evaluators", {})
        images = None if dataset is None else int(dataset["examples"])
        minutes = event.header.get("protocol", {}).get("max_minutes")
        if minutes is not None and self._until is None:
            self._until = now + 60 * float(minutes)
        for name in event.keys:
            if name in self._expected or name in event.stored:
                self._expected.setdefault(name, 0.0)
                continue
            self._expected[name] = self._seconds(name, planned.get(name, {}).get("settings", {}), images, event.seconds_per_image)
            self._open.append(name)

    def _seconds(self, name: str, settings: Mapping[str, Any], images: int | None, pace: float | None) -> float | None:
        cost = self.costs().get(name)
        return None if cost is None or pace is None else expected_seconds(cost, settings, Circumstances(images, pace, self.runtimes()))

    def _take_finished(self, event: Finished) -> None:
        self._current = None
        if event.evaluator in self._open:
            self._open.remove(event.evaluator)
        expected = self._expected.get(event.evaluator)
        if expected and not event.cached and any(isinstance(record.outcome, Measurement) for record in event.records):
            self._taken += event.records[0].seconds
            self._foretold += expected

    def _scale(self, now: float | None) -> float:
        """Seconds of the run for one of the table; with those of the evaluator in hand where the time is given."""
        weight = max(_PATIENCE, _WEIGHT * sum(seconds or 0.0 for seconds in self._expected.values()))
        taken, foretold = self._taken, self._foretold
        expected = 0.0 if self._current is None else self._expected.get(self._current.name) or 0.0
        if now is not None and self._current is not None and expected:
            elapsed, pace = now - self._current.began, self._current.own_pace()
            taken += elapsed
            foretold += expected * pace[1] if pace is not None else min(elapsed, expected)
        return min(_MOST_SCALE, max(_LEAST_SCALE, (taken + weight) / (foretold + weight)))


def _left_of(current: _Current, expected: float, now: float) -> float | None:
    """Seconds that the evaluator in hand still takes: by the table at first, by its own pace the more of its steps are done."""
    elapsed = now - current.began
    by_table = max(expected - elapsed, 0.1 * expected)
    pace = current.own_pace()
    if pace is None:
        return by_table if elapsed <= max(_BEYOND * expected, _PATIENCE) else None
    left, share = pace
    return share * max(0.0, left - (now - current.at)) + (1 - share) * by_table
