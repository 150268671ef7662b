"""Candidates proposed by what Gaussian processes expect of them: likely to meet the goals, and better than the best so far."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.codesign.failing import log_success
from efficient360.codesign.goal import Goal
from efficient360.codesign.judging import POINT, meets_all, usable
from efficient360.codesign.neighbours import bases, neighbours
from efficient360.codesign.space import Candidate
from efficient360.codesign.surrogate import Grid, Surrogate, fit
from efficient360.codesign.trial import State, Trial
from efficient360.codesign.view import View, coordinate, lowered
from efficient360.codesign.warm_start import turned
from efficient360.core.arrays import Floats
from efficient360.core.formatting import is_fraction
from efficient360.core.measurement import Better, Metric

DRAWN: Final = 400
"""Candidates drawn at random that are looked at, beside the neighbours of the best, and theirs."""
Places = NDArray[np.int64]
FEWEST: Final = 4
"""Fewest observations of a metric that are modelled."""


def expected_best(view: View) -> Candidate | None:
    """The untried candidate that promises most: the chance that it can be made and meets every goal, times the expected improvement over the best that does
    (constrained expected improvement: Gardner et al. 2014, "Bayesian optimization with inequality constraints", equation 5).
    """
    pool = _pool(view)
    grid = Grid(tuple(knob for knob in view.space.knobs if len(knob.values) > 1))
    if not pool or not grid.knobs:
        return None
    at = grid.indices(pool)
    merit = np.zeros(len(pool))
    for goal in view.aims.goals:
        merit += _log_chance(goal, view, grid, at)
    merit += np.array(log_success(pool, view.trials))
    merit += _log_improvement(view, grid, at)
    return pool[int(np.argmax(merit))]


def _pool(view: View) -> list[Candidate]:
    """Untried candidates: neighbours of the best trials, some of their neighbours, and others drawn at random; in an order that the seed fixes."""
    rng = np.random.default_rng(view.seed)
    tried = view.tried
    found: dict[Candidate, None] = {}
    near = [candidate for trial in bases(view) for candidate in neighbours(view.space, trial.candidate)]
    found.update(dict.fromkeys(near))
    for _ in range(DRAWN):
        if near and rng.random() < 0.5:
            candidate = _stepped(near[int(rng.integers(len(near)))], view, rng)
        else:
            candidate = Candidate({knob.name: knob.values[int(rng.integers(len(knob.values)))] for knob in view.space.knobs})
        found[candidate] = None
    return [candidate for candidate in found if candidate not in tried and not view.space.excluded(candidate)]


def _stepped(candidate: Candidate, view: View, rng: np.random.Generator) -> Candidate:
    """A candidate with one knob turned at random, an ordered one by a step."""
    knobs = [knob for knob in view.space.knobs if len(knob.values) > 1]
    knob = knobs[int(rng.integers(len(knobs)))]
    at = knob.values.index(candidate[knob.name])
    near = [*knob.values[max(0, at - 1) : at], *knob.values[at + 1 : at + 2]] if knob.ordered else [value for value in knob.values if value != knob.values[at]]
    return turned(candidate, knob.name, near[int(rng.integers(len(near)))])


def _transformed(metric: Metric, value: float, scale: float) -> float:
    """A value on the scale on which knobs add up: costs by their logarithm, losses bent so that great ones do not drown small ones."""
    if is_fraction(metric):
        return math.asinh(lowered(metric, value) / scale)
    return math.log(value) if metric.better is Better.LOWER and value > 0 else lowered(metric, value)


def _scale(metric: Metric, view: View) -> float:
    limit = next((goal.limit for goal in view.aims.goals if goal.metric.name == metric.name), 0.0)
    return max(POINT, abs(limit)) if metric.better is Better.LOWER else POINT


def _process(metric: Metric, view: View, grid: Grid) -> Surrogate | None:
    seen = [(trial.candidate, m.value) for trial in view.trials if (m := usable(trial.measured, metric)) is not None]
    if len(seen) < FEWEST:
        return None
    scale = _scale(metric, view)
    return fit(grid, grid.indices([candidate for candidate, _ in seen]), np.array([_transformed(metric, value, scale) for _, value in seen]))


def _margin(metric: Metric, trials: Sequence[Trial], limit: float) -> float:
    """Half the width of a usual interval near the limit: what a value has to stay clear of it by."""
    near = sorted(
        (m for t in trials if (m := usable(t.measured, metric)) is not None and m.interval is not None and t.state is State.COMPLETE),
        key=lambda m: abs(m.value - limit),
    )[:5]
    halves = [(m.interval.high - m.interval.low) / 2 for m in near if m.interval is not None]
    return float(np.median(halves)) if halves else 0.0


def _log_chance(goal: Goal, view: View, grid: Grid, at: Places) -> Floats:
    """Logarithm of the chance that candidates meet a goal by their intervals."""
    process = _process(goal.metric, view, grid)
    if process is None:
        return np.zeros(len(at))
    margin = _margin(goal.metric, view.trials, goal.limit)
    bound = goal.limit - margin if goal.metric.better is Better.LOWER else goal.limit + margin
    mean, deviation = process.predict(at)
    if goal.metric.better is Better.LOWER and bound <= 0 and not is_fraction(goal.metric):
        bound = goal.limit
    return np.asarray(stats.norm.logcdf((_transformed(goal.metric, bound, _scale(goal.metric, view)) - mean) / deviation))


def _log_improvement(view: View, grid: Grid, at: Places) -> Floats:
    """Logarithm of the expected improvement over the best trial; 0 while nothing meets the goals."""
    metric = view.aims.first
    best = min((coordinate(t, metric) for t in view.trials if t.state is State.COMPLETE and meets_all(view.aims.goals, t.measured)), default=math.inf)
    process = _process(metric, view, grid)
    if process is None or not math.isfinite(best):
        return np.zeros(len(at))
    mean, deviation = process.predict(at)
    return _log_expected(_transformed(metric, lowered(metric, best), _scale(metric, view)), mean, deviation)


def _log_expected(best: float, mean: Floats, deviation: Floats) -> Floats:
    """Logarithm of the expected improvement below ``best`` (Jones, Schonlau & Welch 1998, equation 15)."""
    z = (best - mean) / deviation
    return np.asarray(np.log(np.maximum(deviation * (z * stats.norm.cdf(z) + stats.norm.pdf(z)), 1e-300)))
