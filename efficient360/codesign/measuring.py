"""A problem whose answers are kept: what the log holds is never asked again."""

import time
from collections.abc import Callable, Sequence
from typing import final

from efficient360.codesign.problem import Confirmation, Effort, Measured, Problem
from efficient360.codesign.space import Candidate
from efficient360.codesign.trial_log import Answer, Known, TrialLog
from efficient360.core.measurement import Failure


@final
class Measuring:
    """Answers of a problem, from the log where it has them.

    Args:
        problem: Who is asked.
        log: Where answers are kept.
        known: What the log holds; added to.
    """

    def __init__(self, problem: Problem, log: TrialLog, known: Known) -> None:
        self._problem, self._log, self._known = problem, log, known

    def knows(self, candidate: Candidate, effort: Effort) -> bool:
        """Whether a candidate's quality need not be asked."""
        return (candidate, effort) in self._known.qualities

    def cost(self, candidate: Candidate) -> Answer:
        """As :meth:`Problem.cost`."""
        if (answer := self._known.costs.get(candidate)) is None:
            answer = self._timed(candidate, "cost", lambda: self._problem.cost(candidate))
            self._known.costs[candidate] = answer
            self._log.keep_cost(self._problem.identity, candidate, answer)
        return answer

    def quality(self, candidate: Candidate, effort: Effort) -> Answer:
        """As :meth:`Problem.quality`."""
        if (answer := self._known.qualities.get((candidate, effort))) is None:
            answer = self._timed(candidate, "quality", lambda: self._problem.quality(candidate, effort))
            self._known.qualities[candidate, effort] = answer
            self._log.keep_quality(self._problem.identity, candidate, effort, answer)
        return answer

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        """As :meth:`Problem.confirm`."""
        together = tuple(candidates)
        if (confirmation := self._known.confirmations.get(together)) is None:
            confirmation = self._problem.confirm(together)
            self._known.confirmations[together] = confirmation
            self._log.keep_confirmation(self._problem.identity, confirmation)
        return confirmation

    def _timed(self, candidate: Candidate, kind: str, ask: Callable[[], Measured | Failure]) -> Answer:
        begun = time.monotonic()
        outcome = ask()
        took = time.monotonic() - begun
        parts = dict(self._problem.seconds(candidate))
        rest = took - sum(parts.values())
        if rest > 0.01 * took or not parts:
            parts[kind] = parts.get(kind, 0.0) + max(0.0, rest)
        return Answer(outcome, {kind: round(value, 4) for kind, value in parts.items()})  # as the log keeps it
