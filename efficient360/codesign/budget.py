"""When a search ends: goals met, nothing better found for long, trials or time used up."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from efficient360.errors import SettingsError


class End(StrEnum):
    """Why a search ended."""

    GOALS_MET = "goals met"
    PLATEAU = "plateau"
    TRIALS = "trials used up"
    TIME = "time used up"
    EXHAUSTED = "every candidate tried"


@final
@dataclass(frozen=True)
class Budget:
    """What a search may use. Whichever limit is reached first ends it; a search that is taken up again goes on counting.

    Args:
        seconds: Time spent on candidates, in all sittings together; ``None`` sets no limit.
        trials: Candidates tried, in all sittings together; ``None`` sets no limit.
        patience: Trials without progress after which the search has reached a plateau.
        keep_going: Whether the search goes on improving once the goals are met.
    """

    seconds: float | None = None
    trials: int | None = None
    patience: int = 30
    keep_going: bool = False

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise SettingsError("bad-budget", f"a time budget of {self.seconds:g} s leaves no time", "give minutes above 0, or leave the budget out")
        if self.trials is not None and self.trials < 1:
            raise SettingsError("bad-budget", f"{self.trials} trials can't find anything", "give at least 1 trial, or leave the number out")
        if self.patience < 1:
            raise SettingsError("bad-budget", f"a patience of {self.patience} trials ends the search before it begins", "give at least 1")
