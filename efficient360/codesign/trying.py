"""One trial: cost before quality, few examples before all, and an end where nothing is left to hope for."""

from collections.abc import Mapping, Sequence

from efficient360.codesign.judging import bar, hopeless, usable
from efficient360.codesign.measuring import Measuring
from efficient360.codesign.problem import Effort, Measured
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.trial_log import Proposal, Seconds
from efficient360.codesign.view import Aims, coordinate, keeps, lowered
from efficient360.codesign.words import beyond, in_sentence, measured_text
from efficient360.core.measurement import Failure
from efficient360.reports.names import title


def attempt(proposal: Proposal, measuring: Measuring, what: Aims, before: Sequence[Trial]) -> Trial:
    """Measure a candidate as far as there is hope that it is better than those before it.

    Raises:
        DeviceError: The device is gone.
    """
    trial = _Course(proposal, len(before))
    cost = measuring.cost(proposal.candidate)
    trial.spend(cost.seconds)
    if isinstance(cost.outcome, Failure):
        return trial.failed(cost.outcome)
    trial.cost = cost.outcome
    judged = [t for t in before if t.state is State.COMPLETE]
    standing = bar(what.goals, (t.measured for t in judged))
    sure = proposal.origin is Origin.ORIGINAL or (proposal.origin is Origin.EARLIER and measuring.knows(proposal.candidate, Effort.FULL))
    for effort in (Effort.FULL,) if sure else (Effort.QUICK, Effort.FULL):
        if not sure:
            if (missed := hopeless(what.goals, trial.measured, standing)) is not None:
                value, nearer = measured_text(trial.measured, missed.metric), judged[standing.at].number + 1
                still = "it is farther from the goals than" if trial.quality else "even if it lost nothing it would be farther from the goals than"
                return trial.dropped(f"{title(missed.metric.name)} {value} is {beyond(missed)}: {still} trial {nearer}")
            if trial.quality and (better := _surely_better(trial.candidate_trial(), before, what)) is not None:
                return trial.dropped(
                    f"trial {better.number + 1} is as good in {in_sentence(title(what.cost.name))} and surely better in {in_sentence(title(what.quality.name))}"
                )
        quality = measuring.quality(proposal.candidate, effort)
        trial.spend(quality.seconds)
        if isinstance(quality.outcome, Failure):
            return trial.failed(quality.outcome)
        trial.quality, trial.effort = quality.outcome, effort
    return trial.complete()


def _surely_better(trial: Trial, before: Sequence[Trial], what: Aims) -> Trial | None:
    """A complete trial that is at least as good in cost, keeps the side goals that this one keeps, and whose quality is better by separate intervals."""
    mine = usable(trial.measured, what.quality)
    if mine is None:
        return None
    for other in before:
        theirs = usable(other.measured, what.quality)
        if other.state is not State.COMPLETE or theirs is None or coordinate(other, what.cost) > coordinate(trial, what.cost):
            continue
        if keeps(trial, what.side) and not keeps(other, what.side):
            continue
        if theirs.interval is None or mine.interval is None:
            surely = coordinate(other, what.quality) < coordinate(trial, what.quality)
        else:
            worst = max(lowered(what.quality, theirs.interval.low), lowered(what.quality, theirs.interval.high))
            surely = worst < min(lowered(what.quality, mine.interval.low), lowered(what.quality, mine.interval.high))
        if surely:
            return other
    return None


class _Course:
    """A trial under way."""

    def __init__(self, proposal: Proposal, number: int) -> None:
        self._proposal, self._number = proposal, number
        self._seconds: dict[str, float] = {"search": proposal.seconds}
        self.cost: Measured = {}
        self.quality: Measured = {}
        self.effort: Effort | None = None

    @property
    def measured(self) -> Measured:
        return {**self.cost, **self.quality}

    def spend(self, seconds: Seconds) -> None:
        for kind, value in seconds.items():
            self._seconds[kind] = self._seconds.get(kind, 0.0) + value

    def candidate_trial(self) -> Trial:
        return self._end(State.DROPPED, "", None)

    def dropped(self, reason: str) -> Trial:
        return self._end(State.DROPPED, reason, None)

    def failed(self, failure: Failure) -> Trial:
        return self._end(State.FAILED, failure.message, failure)

    def complete(self) -> Trial:
        return self._end(State.COMPLETE, "", None)

    def _end(self, state: State, reason: str, failure: Failure | None) -> Trial:
        seconds: Mapping[str, float] = {kind: round(value, 4) for kind, value in self._seconds.items()}
        proposal = self._proposal
        return Trial(self._number, proposal.candidate, proposal.origin, state, self.cost, self.quality, self.effort, reason, failure, seconds)
