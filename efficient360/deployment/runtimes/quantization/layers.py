"""The layers of an exported program that carry weights, by their names in the network, and what goes into them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

LINEAR: Final = torch.ops.aten.linear.default
CONVOLUTIONS: Final = (torch.ops.aten.conv2d.default, torch.ops.aten.conv2d.padding)


@final
@dataclass(frozen=True)
class Layer:
    """A linear layer or convolution.

    Args:
        name: As among the network's modules (``blocks.0.attn.qkv``); a weight that is not called ``weight`` keeps its own name (``attn.in_proj_weight``).
        weight: Name of its weight among the parameters.
        nodes: The operators that use the weight: more than one where layers share it.
        linear: Whether it is a linear layer, ``(out, in)``.
    """

    name: str
    weight: str
    nodes: tuple[fx.Node, ...]
    linear: bool


def layers_of(module: fx.GraphModule) -> dict[str, Layer]:
    """The layers of a program's graph by name, in order of execution."""
    users: dict[str, list[fx.Node]] = {}
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in (LINEAR, *CONVOLUTIONS) and (weight := parameter_of(node.args[1])):
            users.setdefault(weight, []).append(node)
    layers = (Layer(name_of(weight), weight, tuple(nodes), all(node.target is LINEAR for node in nodes)) for weight, nodes in users.items())
    return {layer.name: layer for layer in layers}


def name_of(weight: str) -> str:
    """The layer's name, from its weight's."""
    return weight.removesuffix(".weight")


def parameter_of(value: Any) -> str:
    """Name of the parameter or buffer that an argument is, ``""`` where it is none."""
    return str(value.target) if isinstance(value, fx.Node) and value.op == "get_attr" else ""


def value_of(module: fx.GraphModule, name: str) -> Tensor:
    """A parameter or buffer by its dotted name."""
    owner, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), leaf)
    return tensor


@final
class _Watched(fx.Interpreter):
    """Runs a graph and shows what goes into some nodes."""

    def __init__(self, module: fx.GraphModule, see: Mapping[fx.Node, Callable[[Tensor], None]]) -> None:
        super().__init__(module)
        self.see = see

    def run_node(self, n: fx.Node) -> Any:
        if n in self.see:
            self.see[n](self.fetch_args_kwargs_from_env(n)[0][0])
        return super().run_node(n)


def watch(module: fx.GraphModule, calls: Iterable[NDArray[np.float32]], see: Mapping[fx.Node, Callable[[Tensor], None]]) -> None:
    """Run a program on images, and hand what goes into some of its nodes to a function each.

    Args:
        module: Graph module of a program.
        calls: Images float32 ``(batch, 3, H, W)`` in [0, 1], a call each.
        see: By node.
    """
    interpreter = _Watched(module, see)
    with torch.inference_mode():
        for images in calls:
            interpreter.run(torch.from_numpy(images))
