"""Progress of a benchmark: a line for each step, and regular updates with the time left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO, final

from efficient360.core.formatting import duration

QUIET_SECONDS = 15.0


@final
@dataclass
class ProgressMeter:
    """Counts steps (conversions and measurements) and prints them.

    Args:
        stream: Where it prints.
    """

    stream: TextIO
    total: int = 0
    done: float = 0.0
    begun: float = 0.0
    in_hand: float = 0.0
    clock: Callable[[], float] = time.monotonic
    last_output: float = field(default=0.0)

    def expect(self, steps: int) -> None:
        """How many steps there will be."""
        self.total, self.begun = steps, self.clock()
        self.say(f"{steps} steps to do" if steps else "nothing left to measure")

    def say(self, text: str) -> None:
        """Print a line."""
        self.last_output = self.clock()
        print(text, file=self.stream, flush=True)

    def step(self, text: str) -> None:
        """One step begins; those before it are done."""
        self._settle()
        self.in_hand = 1.0
        self.say(f"{text}{self._left()}")

    def part(self, text: str, steps: int) -> Callable[[int, int], None]:
        """Several steps begin that tell their own progress as ``(done, total)``."""
        self._settle()
        self.in_hand = float(steps)
        self.say(f"{text}{self._left()}")
        start = self.done

        def on_progress(done: int, total: int) -> None:
            self.done = start + steps * done / max(total, 1)
            self.in_hand = steps * (1 - done / max(total, 1))
            if self.clock() - self.last_output >= QUIET_SECONDS:
                self.say(f"{text}, {done}/{total}{self._left()}")

        return on_progress

    def _settle(self) -> None:
        """What was in hand is done."""
        self.done, self.in_hand = self.done + self.in_hand, 0.0

    def _left(self) -> str:
        """How far it is and how long it will take; no time before there is something to go by."""
        share = f" ({self.done:.0f} of {self.total}"
        if self.done < 1:
            return f"{share})"
        seconds = (self.clock() - self.begun) / self.done * (self.total - self.done)
        return f"{share}, about {duration(seconds)} left)"
