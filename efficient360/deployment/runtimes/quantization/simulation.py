"""Static int8 simulated in torch: the numbers that runtimes compute with, without converting for one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from efficient360.deployment.runtimes.quantization.layers import Layer, value_of, watch

ACTIVATION_STEPS: Final = 255
WEIGHT_LEVELS: Final = 63
"""Largest code of a weight: 7 of 8 bits, as ONNX Runtime and OpenVINO keep for CPUs that overflow with 8."""


@final
@dataclass(frozen=True)
class Range:
    """The least and the largest value that go into a layer, 0 included.

    Args:
        low: At most 0.
        high: At least 0.
    """

    low: float
    high: float

    def rounded(self, values: Tensor) -> Tensor:
        """Values on the 256 steps of the range, those beyond it cut off."""
        step = (self.high - self.low) / ACTIVATION_STEPS
        if step == 0:
            return torch.zeros_like(values)
        zero = round(-self.low / step)
        return ((values / step).round() + zero).clamp(0, ACTIVATION_STEPS).sub(zero).mul(step)


def ranges_of(module: fx.GraphModule, layers: Collection[Layer], calls: Iterable[NDArray[np.float32]]) -> dict[str, Range]:
    """What goes into each layer, from least to most over calibration images."""
    ranges: dict[str, Range] = {}

    def see(name: str, values: Tensor) -> None:
        before = ranges.get(name, Range(0.0, 0.0))
        ranges[name] = Range(min(before.low, float(values.min())), max(before.high, float(values.max())))

    watch(module, calls, {node: lambda values, name=layer.name: see(name, values) for layer in layers for node in layer.nodes})  # type: ignore[misc]
    return ranges


def rounded_weight(weight: Tensor, levels: int = WEIGHT_LEVELS) -> Tensor:
    """A weight ``(out, …)`` on symmetric steps by output channel."""
    step = weight.flatten(1).abs().amax(1).div(levels).reshape(-1, *[1] * (weight.ndim - 1))
    return torch.where(step > 0, (weight / step).round() * step, 0.0)


@final
class SimulatedInt8(fx.Interpreter):
    """A program whose layers take rounded inputs and weights.

    Args:
        module: Graph module of a program; left as it is.
        layers: All that may be quantized.
        ranges: Of what goes into them, by name.
    """

    def __init__(self, module: fx.GraphModule, layers: Sequence[Layer], ranges: Mapping[str, Range]) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.ranges = ranges
        self.weights = {layer.name: rounded_weight(value_of(module, layer.weight).detach()) for layer in layers}
        self.names = {node: layer.name for layer in layers for node in layer.nodes}
        self.quantized: frozenset[str] = frozenset()
        self.behind = {layer.name: _behind(layer.nodes) for layer in layers}
        """What changes when a layer does, itself included."""

    def run_node(self, n: fx.Node) -> Any:
        name = self.names.get(n)
        if name is None or name not in self.quantized:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return n.target(self.ranges[name].rounded(args[0]), self.weights[name], *args[2:], **kwargs)  # type: ignore[operator]

    def logits(self, images: Tensor, quantized: Collection[str]) -> Tensor:
        """Logits with these layers in int8 and all others in float."""
        self.quantized = frozenset(quantized)
        with torch.inference_mode():
            answers: Tensor = self.run(images)
        return answers

    def logits_of_each(self, images: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """Logits in float, and with each layer alone in int8: what lies before it is taken from the pass in float."""
        exact = self.logits(images, ())
        kept = dict(self.env)
        answers = []
        for name in layers:
            self.quantized = frozenset({name})
            with torch.inference_mode():
                answers.append(self.run(images, initial_env={node: value for node, value in kept.items() if node not in self.behind[name]}))
        return exact, answers


def _behind(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    reached: set[fx.Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in reached:
            reached.add(node)
            pending += list(node.users)
    return reached
