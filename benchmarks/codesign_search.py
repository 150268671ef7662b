"""How good the search of co-design is: seeded searches against random search, on candidates whose measurements were recorded, or on an arithmetic model.

    python benchmarks/codesign_search.py [--table trials.jsonl] [--seeds 10] [--trials 60] [--json results.json]

``--table`` takes the ``trials.jsonl`` of a search that tried many candidates (``efficient360 optimize … --keep-going --trials N``): the search under test
may propose what was measured there, and gets the measurements of that day. Without it, candidates answer by arithmetic with the ratios that were measured
of DeiT-Tiny on one core (factors of runtime, precision, resolution, depth and width, and interactions drawn from a seed).

Printed are, over the seeds: in how many searches a specification is met by the true values of what the search chose, after how many trials first, and the
area that the front dominates after n trials, as a share of the best that all searches found together; random search gets three times the trials.
"""

import argparse
import hashlib
import json
import math
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from efficient360.codesign.budget import Budget
from efficient360.codesign.front import hypervolume
from efficient360.codesign.goal import Goal
from efficient360.codesign.goals import parse_goal
from efficient360.codesign.judging import meets_all
from efficient360.codesign.measured_json import failure_from_json, measured_from_json
from efficient360.codesign.problem import Confirmation, Effort, Measured, Problem
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.search import search
from efficient360.codesign.space import Candidate, Knob, Space
from efficient360.codesign.trial import State, Trial
from efficient360.codesign.trial_log import TrialLog
from efficient360.codesign.view import coordinate
from efficient360.core.measurement import BYTE, ONE, SECOND, Better, Failure, Interval, Measurement, Metric, Status

LATENCY = Metric("latency_p50", SECOND, Better.LOWER, "Median time of one inference", low=0)
SIZE = Metric("artefact_bytes", BYTE, Better.LOWER, "Bytes of the artefact", low=0)
DROP = Metric("top1_drop", ONE, Better.LOWER, "Accuracy lost against the original", low=-1, high=1)

KNOBS = (
    Knob("runtime", "Runtime", ("litert", "openvino", "onnxruntime")),
    Knob("precision", "Precision", ("fp32", "int8-dynamic", "int8", "int8-smooth", "w8", "w4")),
    Knob("threads", "Threads", (1, 2), ordered=True),
    Knob("attention", "Attention", ("fused", "split")),
    Knob("input_size", "Input size", (224, 192, 160, 128), ordered=True),
    Knob("dropped_blocks", "Blocks dropped", (0, 1, 2, 3, 4), ordered=True),
    Knob("mlp_kept", "MLP width kept", ("100 %", "75 %", "50 %"), ordered=True),
    Knob("heads_kept", "Heads kept", ("100 %", "67 %"), ordered=True),
    Knob("merged_tokens", "Tokens merged", ("0 %", "25 %", "50 %"), ordered=True),
    Knob("low_rank", "Low rank", ("none", "half"), ordered=True),
    Knob("sparsity", "Sparsity", ("none", "2:4")),
    Knob("clusters", "Clusters", (0, 64, 16), ordered=True),
)
FACTOR: Mapping[str, Mapping[Any, float]] = {
    "runtime": {"litert": 12.3, "openvino": 12.9, "onnxruntime": 14.5},
    "precision": {"fp32": 1.0, "int8-dynamic": 0.47, "int8": 0.42, "int8-smooth": 0.42, "w8": 1.05, "w4": 1.1},
    "threads": {1: 1.0, 2: 0.62},
    "attention": {"fused": 1.0, "split": 1.06},
    "input_size": {224: 1.0, 192: 0.71, 160: 0.46, 128: 0.29},
    "dropped_blocks": {0: 1.0, 1: 0.92, 2: 0.84, 3: 0.75, 4: 0.67},
    "mlp_kept": {"100 %": 1.0, "75 %": 0.88, "50 %": 0.76},
    "heads_kept": {"100 %": 1.0, "67 %": 0.9},
    "merged_tokens": {"0 %": 1.0, "25 %": 0.82, "50 %": 0.66},
    "low_rank": {"none": 1.0, "half": 0.93},
    "sparsity": {"none": 1.0, "2:4": 1.0},
    "clusters": {0: 1.0, 64: 1.01, 16: 1.01},
}
LOSS: Mapping[str, Mapping[Any, float]] = {
    "precision": {"int8-dynamic": 0.2, "int8": 2.5, "int8-smooth": 0.4, "w8": 0.02, "w4": 0.8},
    "input_size": {192: 0.3, 160: 1.1, 128: 4.0},
    "dropped_blocks": {1: 0.25, 2: 0.9, 3: 2.2, 4: 5.0},
    "mlp_kept": {"75 %": 0.3, "50 %": 1.4},
    "heads_kept": {"67 %": 0.8},
    "merged_tokens": {"25 %": 0.4, "50 %": 1.6},
    "low_rank": {"half": 1.8},
    "sparsity": {"2:4": 3.4},
    "clusters": {64: 0.1, 16: 1.7},
}
"""Percentage points that a setting costs alone."""
BYTES: Mapping[Any, float] = {"fp32": 4.0, "int8-dynamic": 1.0, "int8": 1.0, "int8-smooth": 1.0, "w8": 1.0, "w4": 0.55}


@final
@dataclass
class Model(Problem):
    """Answers by arithmetic: costs multiply, losses add up and aggravate one another, pairs of settings interact by factors drawn from a seed.

    Args:
        seed: Of interactions and of the noise of every candidate's latency.
        noise: Relative spread of a measured latency.
        images: Of the selection part; half the width of the loss's interval follows from it.
    """

    seed: int
    noise: float = 0.03
    images: int = 2000
    cache: dict[Candidate, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        return Space(KNOBS, (_excluded,))

    @property
    def identity(self) -> str:
        return f"arithmetic {self.seed}"

    @property
    def cost_metrics(self) -> Sequence[Metric]:
        return (LATENCY, SIZE)

    @property
    def quality_metrics(self) -> Sequence[Metric]:
        return (DROP,)

    def truth(self, candidate: Candidate) -> tuple[float, float, float]:
        """Seconds, bytes and points lost."""
        if candidate not in self.cache:
            log = sum(math.log(FACTOR[name][value]) for name, value in candidate.settings.items())
            log += sum(0.12 * _draw(self.seed, "time", pair) for pair in _pairs(candidate, ("runtime", "precision", "attention", "merged_tokens", "threads")))
            if str(candidate["precision"]).startswith("int8") and candidate["merged_tokens"] != "0 %":
                log += 0.45  # gathering tokens in integers is slow: fewer MACs, more time
            losses = [LOSS.get(name, {}).get(value, 0.0) for name, value in candidate.settings.items()]
            lost = (sum(loss**1.25 for loss in losses)) * (1 + 0.15 * (sum(loss > 0.25 for loss in losses)))
            lost *= 1 + 0.15 * abs(_draw(self.seed, "loss", tuple(map(str, candidate.settings.values()))))
            weights = 5.7e6 * (1 - int(candidate["dropped_blocks"]) / 13) * {"100 %": 1.0, "75 %": 0.84, "50 %": 0.68}[str(candidate["mlp_kept"])]
            self.cache[candidate] = (1e-3 * math.exp(log), weights * BYTES[candidate["precision"]], lost)
        return self.cache[candidate]

    def cost(self, candidate: Candidate) -> Measured | Failure:
        if candidate["runtime"] == "onnxruntime" and candidate["precision"] == "w4" and candidate["attention"] == "split":
            return Failure(Status.FAILED, "no-conversion", "the converter does not know this operator")
        seconds, size, _ = self.truth(candidate)
        seconds *= math.exp(self.noise * _draw(self.seed, "noise", (candidate.key,)))
        time_ = Measurement(LATENCY, seconds, 30, Interval(seconds * (1 - self.noise / 2), seconds * (1 + self.noise / 2), "order-statistics"))
        return {LATENCY.name: time_, SIZE.name: Measurement(SIZE, round(size))}

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        n = self.images if effort is Effort.FULL else self.images // 5
        lost = self.truth(candidate)[2]
        sd = 100 * math.sqrt((0.01 + lost / 100) / n) if lost else 0.0
        seen = lost + sd * _draw(self.seed, f"images {effort}", (candidate.key,))
        return {DROP.name: Measurement(DROP, min(1.0, seen / 100), n, Interval((seen - 1.96 * sd) / 100, (seen + 1.96 * sd) / 100, "newcombe-paired"))}

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        raise NotImplementedError("this study compares searches by the truth")


def _excluded(candidate: Candidate) -> str:
    if candidate["low_rank"] != "none" and candidate["sparsity"] != "none":
        return "factors are not made sparse"
    return "LiteRT has no 4-bit kernels" if candidate["runtime"] == "litert" and candidate["precision"] == "w4" else ""


def _pairs(candidate: Candidate, names: Sequence[str]) -> list[tuple[str, ...]]:
    told = [f"{name}={candidate[name]}" for name in names]
    return [(a, b) for i, a in enumerate(told) for b in told[i + 1 :]]


def _draw(seed: int, what: str, of: tuple[str, ...]) -> float:
    digest = hashlib.sha256(f"{seed} {what} {of}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8])).standard_normal())


@final
class Table(Problem):
    """Answers that were recorded: candidates without all of them are excluded.

    Args:
        path: A ``trials.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{") and line.endswith("}")]
        self._cost: dict[Candidate, Measured | Failure] = {}
        self._quality: dict[tuple[Candidate, Effort], Measured | Failure] = {}
        for row in rows:
            if row["kind"] in ("cost", "quality"):
                candidate = Candidate(row["candidate"])
                failure = failure_from_json(row.get("failure"))
                outcome: Measured | Failure = measured_from_json(row["measured"]) if failure is None else failure
                if row["kind"] == "cost":
                    self._cost[candidate] = outcome
                else:
                    self._quality[candidate, Effort(row["effort"])] = outcome
        whole = {c for c, outcome in self._cost.items() if isinstance(outcome, Failure) or (c, Effort.FULL) in self._quality}
        names = list(next(iter(whole)).settings)
        listed = {name: list(dict.fromkeys(c[name] for c in self._cost)) for name in names}
        self._space = Space(
            tuple(Knob(name, name, tuple(values), all(isinstance(v, int) for v in values)) for name, values in listed.items()),
            (lambda candidate: "" if candidate in whole else "it was not recorded",),
        )
        measured = next(outcome for outcome in self._cost.values() if not isinstance(outcome, Failure))
        judged = next(outcome for outcome in self._quality.values() if not isinstance(outcome, Failure))
        self._metrics = tuple(m.metric for m in measured.values()), tuple(m.metric for m in judged.values())
        self.size = len(whole)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def identity(self) -> str:
        return "recorded"

    @property
    def cost_metrics(self) -> Sequence[Metric]:
        return self._metrics[0]

    @property
    def quality_metrics(self) -> Sequence[Metric]:
        return self._metrics[1]

    def cost(self, candidate: Candidate) -> Measured | Failure:
        return self._cost[candidate]

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        return self._quality.get((candidate, effort), self._quality[candidate, Effort.FULL])

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        raise NotImplementedError("what was recorded can't be measured again")


@final
@dataclass(frozen=True)
class Course:
    """A search, looked at from outside.

    Args:
        met: Trial by which a candidate met the goals by its intervals; ``None`` where none did.
        areas: Dominated area after each trial.
        best: Objective of the best that meets the goals after each trial; ∞ before.
        seconds: Time that the search itself took for a trial.
    """

    met: int | None
    areas: Sequence[float]
    best: Sequence[float]
    seconds: float


def course(problem: Problem, goals: Sequence[Goal], sampler: Sampler, trials: int, seed: int) -> Course:
    """One search, to the end of its trials."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        found = search(problem, goals, Budget(trials=trials, patience=10**6, keep_going=True), TrialLog(Path(folder) / "trials.jsonl"), seed, sampler)
        seconds = (time.monotonic() - begun) / len(found.trials)
    met: int | None = None
    areas: list[float] = []
    best: list[float] = []
    points: list[tuple[float, float]] = []
    for trial in found.trials:
        if trial.state is State.COMPLETE:
            points.append(_point(trial, problem))
            if meets_all(goals, trial.measured):
                met = trial.number + 1 if met is None else met
                best.append(min(best[-1] if best else math.inf, coordinate(trial, problem.cost_metrics[0])))
        if len(best) <= trial.number:
            best += [best[-1] if best else math.inf] * (trial.number + 1 - len(best))
        areas.append(hypervolume(points, (REFERENCE, 0.05)))
    return Course(met, areas, best, seconds)


REFERENCE = math.log(0.016)


def _point(trial: Trial, problem: Problem) -> tuple[float, float]:
    """Logarithm of the cost, and the loss: area below 16 ms and five points lost."""
    return math.log(coordinate(trial, problem.cost_metrics[0])), max(0.0, coordinate(trial, problem.quality_metrics[0]))


def study(problems: Sequence[Problem], goals: Sequence[str], trials: int) -> dict[str, Any]:
    """Searches over problems, one seed each, against random search of three times the trials."""
    lines: dict[str, Any] = {}
    for sampler, count in ((Sampler.MODEL, trials), (Sampler.RANDOM, 3 * trials)):
        courses = []
        for seed, problem in enumerate(problems):
            metrics = [*problem.cost_metrics, *problem.quality_metrics]
            courses.append(course(problem, [parse_goal(goal, metrics) for goal in goals], sampler, count, seed))
        lines[sampler.value] = courses
    return lines


def report(goals: Sequence[str], lines: Mapping[str, Sequence[Course]], trials: int) -> dict[str, Any]:
    """What is printed, as data."""
    told: dict[str, Any] = {"goals": list(goals)}
    for name, courses in lines.items():
        firsts = sorted(c.met if c.met is not None else math.inf for c in courses)
        told[name] = {
            "met": sum(c.met is not None for c in courses),
            "searches": len(courses),
            "first met, median trial": statistics.median(firsts),
            "best cost, median, ms": {n: round(1e3 * statistics.median(c.best[min(n, len(c.best)) - 1] for c in courses), 3) for n in _marks(trials, name)},
            "area, mean": {n: round(statistics.mean(c.areas[min(n, len(c.areas)) - 1] for c in courses), 5) for n in _marks(trials, name)},
            "search seconds a trial": round(statistics.mean(c.seconds for c in courses), 3),
        }
    return told


def _marks(trials: int, name: str) -> list[int]:
    return [trials // 3, 2 * trials // 3, trials] + ([2 * trials, 3 * trials] if name == Sampler.RANDOM.value else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--goals", action="append", default=[], help="goals separated by blanks; may be given several times")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    specifications = [text.split() for text in options.goals] or [["latency_p50<4ms", "top1_drop<2pt"], ["latency_p50<2ms", "top1_drop<3pt", "artefact_bytes<5MB"]]
    if options.table:
        table = Table(options.table)
        print(f"{table.size} recorded candidates")
        problems: list[Problem] = [table] * options.seeds
    else:
        problems = [Model(seed) for seed in range(options.seeds)]
    results = []
    for goals in specifications:
        results.append(report(goals, study(problems, goals, options.trials), options.trials))
        print(json.dumps(results[-1], indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
