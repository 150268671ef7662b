"""A problem whose answers are arithmetic: no network, no clock."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from efficient360.codesign.problem import Baseline, Confirmation, Confirmed, Effort, Measured, Problem
from efficient360.codesign.space import Candidate, Knob, Rule, Space
from efficient360.core.measurement import BYTE, ONE, SECOND, Better, Failure, Interval, Measurement, Metric, Status

LATENCY = Metric("latency_p50", SECOND, Better.LOWER, "Median time", low=0)
SIZE = Metric("artefact_bytes", BYTE, Better.LOWER, "Size", low=0)
DROP = Metric("top1_drop", ONE, Better.LOWER, "Accuracy lost", low=-1, high=1)
TOP1 = Metric("top1", ONE, Better.HIGHER, "Accuracy", low=0, high=1)

KNOBS = (
    Knob("runtime", "Runtime", ("litert", "openvino", "onnxruntime")),
    Knob("precision", "Precision", ("fp32", "int8", "int4")),
    Knob("input_size", "Input size", (224, 192, 160, 128), ordered=True),
    Knob("dropped_blocks", "Blocks dropped", (0, 1, 2, 3, 4), ordered=True),
    Knob("mlp_kept", "MLP width kept", ("100 %", "75 %", "50 %"), ordered=True),
)
SPEED = {"litert": 12.0, "openvino": 12.5, "onnxruntime": 14.0}
PRECISION = {"fp32": (1.0, 0.0, 4.0), "int8": (0.45, 0.4, 1.0), "int4": (0.9, 1.5, 0.6)}
SIDE = {224: (1.0, 0.0), 192: (0.72, 0.5), 160: (0.5, 1.6), 128: (0.34, 4.5)}
MLP = {"100 %": (1.0, 0.0), "75 %": (0.87, 0.3), "50 %": (0.72, 1.4)}


def exclude_int4_litert(candidate: Candidate) -> str:
    return "LiteRT has no 4-bit kernels here" if candidate["runtime"] == "litert" and candidate["precision"] == "int4" else ""


@dataclass
class Toy(Problem):
    """Latency, size and loss by a formula, with intervals of a given width.

    Args:
        noise: Relative spread of a latency; the same for a candidate whenever it is asked.
        half: Half the width of the interval of the loss on all examples, in percentage points; twice as wide on few.
        final_shift: Percentage points by which the final examples are harder.
    """

    noise: float = 0.0
    half: float = 0.1
    final_shift: float = 0.0
    salt: str = ""
    rules: tuple[Rule, ...] = (exclude_int4_litert,)
    fails: Callable[[Candidate], bool] = lambda candidate: candidate["runtime"] == "onnxruntime" and candidate["precision"] == "int4"
    asked: list[tuple[str, Candidate]] = field(default_factory=list)
    confirmed: list[tuple[Candidate, ...]] = field(default_factory=list)

    @property
    def space(self) -> Space:
        return Space(KNOBS, self.rules, {"merged_tokens": "the network has no class token"})

    @property
    def identity(self) -> str:
        return f"toy {self.salt}"

    @property
    def cost_metrics(self) -> Sequence[Metric]:
        return (LATENCY, SIZE)

    @property
    def quality_metrics(self) -> Sequence[Metric]:
        return (DROP, TOP1)

    def truth(self, candidate: Candidate) -> tuple[float, float, float]:
        """Seconds, bytes and loss in points."""
        factor, loss, size = PRECISION[str(candidate["precision"])]
        side, side_loss = SIDE[int(candidate["input_size"])]
        mlp, mlp_loss = MLP[str(candidate["mlp_kept"])]
        dropped = int(candidate["dropped_blocks"])
        ms = SPEED[str(candidate["runtime"])] * factor * side * mlp * (1 - dropped / 12)
        if candidate["precision"] == "int8" and candidate["runtime"] == "onnxruntime":
            ms *= 1.8  # no dot products of 8 bits there
        lost = loss + side_loss + mlp_loss + 0.25 * dropped**2 + 0.3 * side_loss * dropped
        return 1e-3 * ms, 5.7e6 * size * (1 - dropped / 13) * (0.4 + 0.6 * mlp), lost

    def _spread(self, candidate: Candidate) -> float:
        return math.exp(self.noise * float(np.random.default_rng(int(candidate.key[:8], 16)).standard_normal()))

    def cost(self, candidate: Candidate) -> Measured | Failure:
        self.asked.append(("cost", candidate))
        if self.fails(candidate):
            return Failure(Status.FAILED, "no-conversion", "the converter does not know this operator")
        return self._cost(candidate)

    def _cost(self, candidate: Candidate) -> dict[str, Measurement]:
        seconds, size, _ = self.truth(candidate)
        seconds *= self._spread(candidate)
        time = Measurement(LATENCY, seconds, 30, Interval(0.99 * seconds, 1.01 * seconds, "order-statistics"))
        return {LATENCY.name: time, SIZE.name: Measurement(SIZE, round(size))}

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        self.asked.append((effort.value, candidate))
        return self._quality(candidate, self.half * (2 if effort is Effort.QUICK else 1), 0.0)

    def _quality(self, candidate: Candidate, half: float, shift: float) -> dict[str, Measurement]:
        lost = self.truth(candidate)[2] + shift
        drop = Measurement(DROP, lost / 100, 1000, Interval((lost - half) / 100, (lost + half) / 100, "newcombe"))
        right = 0.8 - lost / 100
        top1 = Measurement(TOP1, right, 1000, Interval(right - half / 100, right + half / 100, "wilson"))
        return {DROP.name: drop, TOP1.name: top1}

    def seconds(self, candidate: Candidate) -> Mapping[str, float]:
        return {"measure": 0.0}

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        self.confirmed.append(tuple(candidates))
        base = self._cost(self.space.original)
        told = []
        for candidate in candidates:
            cost = self._cost(candidate)
            ratio = base[LATENCY.name].value / cost[LATENCY.name].value
            speed = Measurement(Metric("speedup", ONE, Better.HIGHER, "Times as fast"), ratio, 30, Interval(0.98 * ratio, 1.02 * ratio, "bootstrap"))
            told.append(
                Confirmed(candidate, {**cost, **self._quality(candidate, self.half, self.final_shift)}, None, {"file": "model"}, {"LiteRT fp32": speed})
            )
        return Confirmation(tuple(told), (Baseline("LiteRT fp32", {**base, **self._quality(self.space.original, self.half, 0.0)}),))
