"""What a search tells while it runs: one line a trial."""

from collections.abc import Sequence
from typing import final

from efficient360.cli.output import Output
from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Confirmed
from efficient360.codesign.space import Knob
from efficient360.codesign.trial import State, Trial
from efficient360.codesign.vision.optimize import Watching
from efficient360.codesign.vision.problem import ImageProblem
from efficient360.codesign.words import candidate_text, goal_text, measured_text
from efficient360.core.formatting import count, duration

_MARKS = {State.COMPLETE: "+", State.DROPPED: "-", State.FAILED: "!"}


@final
class Narrator:
    """Tells it on the standard error.

    Args:
        output: Of the command.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._knobs: Sequence[Knob] = ()
        self._goals: Sequence[Goal] = ()

    def watching(self) -> Watching:
        """It as a search takes it."""
        return Watching(self.on_step, self.on_start, self.on_trial, self.on_confirmed)

    def on_step(self, step: str) -> None:
        """What is being done."""
        self._output.step(step)

    def on_start(self, problem: ImageProblem, goals: Sequence[Goal]) -> None:
        """The images, the space and the goals."""
        self._knobs, self._goals = problem.space.knobs, goals
        offered = ", ".join(f"{knob.name} ({len(knob.values)})" for knob in self._knobs)
        self._output.step(f"images: {problem.original.parts.sentence()}")
        self._output.step(f"space: {count(problem.space.size)} combinations of {offered}")
        self._output.step("goals: " + ", ".join(goal_text(goal) for goal in goals))

    def on_trial(self, trial: Trial) -> None:
        """A trial that ended."""
        metrics = list(dict.fromkeys([*(goal.metric for goal in self._goals), *(told.metric for told in list(trial.measured.values())[:1])]))
        figures = ", ".join(measured_text(trial.measured, metric) for metric in metrics if metric.name in trial.measured)
        why = f": {trial.reason}" if trial.reason else ""
        seconds = duration(sum(trial.seconds.values()))
        self._output.step(f"{_MARKS[trial.state]} {trial.number + 1:3} {candidate_text(trial.candidate, self._knobs)}  {figures}  ({seconds}){why}")

    def on_confirmed(self, confirmed: Confirmed) -> None:
        """A candidate that was measured once more."""
        if confirmed.failure is not None:
            self._output.step(f"! {candidate_text(confirmed.candidate, self._knobs)} could not be measured again: {confirmed.failure.message}")
            return
        figures = ", ".join(measured_text(confirmed.measured, goal.metric) for goal in self._goals)
        self._output.step(f"= {candidate_text(confirmed.candidate, self._knobs)} once more, on other images: {figures}")
