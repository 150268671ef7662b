"""Candidates proposed by Optuna. A study is built anew from the trials for every proposal, so that a proposal depends on the trials and its seed alone:
whatever was interrupted, the same one follows.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Final

from efficient360.codesign.judging import shortfalls
from efficient360.codesign.space import Candidate, Knob
from efficient360.codesign.trial import State, Trial
from efficient360.codesign.view import View, coordinate
from efficient360.core.measurement import Better

TRIES: Final = 6
"""Proposals asked for until one is new."""
FAR: Final = 10.0
"""Shortfall that stands for a candidate which could not be made."""


def modelled(view: View) -> Candidate | None:
    """What a multi-objective tree-structured Parzen estimator proposes (Ozaki et al. 2022, constraints as in Watanabe & Hutter 2023), where it is new.

    Objectives are the logarithm of the cost, and the quality; each goal is a constraint.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: Mapping[str, optuna.distributions.BaseDistribution] = {
        knob.name: optuna.distributions.IntDistribution(0, len(knob.values) - 1)
        if knob.ordered
        else optuna.distributions.CategoricalDistribution(range(len(knob.values)))
        for knob in view.space.knobs
        if len(knob.values) > 1
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(directions=["minimize", "minimize"])
        for trial in _observed(view):
            study.add_trial(
                optuna.trial.create_trial(
                    values=list(_values(trial, view)), params=_indices(trial, view), distributions=dict(distributions), constraints=_constraints(trial, view)
                )
            )
        for attempt in range(TRIES):
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=True, seed=(view.seed + attempt) % 2**32)
            chosen = study.ask(dict(distributions)).params
            candidate = Candidate({knob.name: knob.values[chosen.get(knob.name, 0)] for knob in view.space.knobs})
            if view.allows(candidate):
                return candidate
    return None


def _observed(view: View) -> list[Trial]:
    return [trial for trial in view.trials if all(trial.candidate[knob.name] in knob.values for knob in view.space.knobs)]


def _indices(trial: Trial, view: View) -> dict[str, int]:
    return {knob.name: _index(knob, trial) for knob in view.space.knobs if len(knob.values) > 1}


def _index(knob: Knob, trial: Trial) -> int:
    return knob.values.index(trial.candidate[knob.name])


def _values(trial: Trial, view: View) -> tuple[float, float]:
    """Both objectives; the worst seen so far where one was not measured."""
    cost, quality = view.aims.cost, view.aims.quality
    costs = [value for t in view.trials if math.isfinite(value := _scaled(coordinate(t, cost), cost.better))]
    qualities = [value for t in view.trials if math.isfinite(value := coordinate(t, quality))]
    here, there = _scaled(coordinate(trial, cost), cost.better), coordinate(trial, quality)
    return here if math.isfinite(here) else max(costs, default=0.0), there if math.isfinite(there) else max(qualities, default=0.0)


def _scaled(value: float, better: Better) -> float:
    """Costs by their logarithm: a tenth is a tenth everywhere."""
    return math.log(value) if better is Better.LOWER and 0 < value < math.inf else value


def _constraints(trial: Trial, view: View) -> dict[str, float]:
    """By how much each goal is missed, above 0 where it is."""
    if trial.state is State.FAILED:
        return {"made": FAR}
    return {part.goal.metric.name: part.value if math.isfinite(part.value) else 0.0 for part in shortfalls(view.aims.goals, trial.measured)}
