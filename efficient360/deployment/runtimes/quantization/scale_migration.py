"""Outliers migrated from activations to weights: a normalisation's channels divided, and the columns of the layers behind it multiplied, by the same numbers.

Xiao et al. 2023, SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models, equations 3 and 4. In exact arithmetic the network
computes what it did; its activations behind normalisations then lie in ranges that 8 bits by tensor can hold.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from efficient360.deployment.runtimes.quantization.layers import LINEAR, parameter_of, value_of, watch

STRENGTH: Final = 0.5
"""The paper's α: 0 leaves the activations as they are, 1 makes all their channels alike and the weights bear everything."""
SMALLEST: Final = 1e-5
_NORM: Final = torch.ops.aten.layer_norm.default
_BY_TOKEN: Final = {
    torch.ops.aten.dropout.default: None,
    torch.ops.aten.clone.default: None,
    torch.ops.aten.contiguous.default: None,
    torch.ops.aten.select.int: 1,
    torch.ops.aten.slice.Tensor: 1,
    torch.ops.aten.mean.dim: 1,
}
"""Operators that leave channels, the last axis, apart; and which argument names the axes that they work along."""


@final
@dataclass(frozen=True)
class Migration:
    """What was done.

    Args:
        values: New values of parameters by name: scales and offsets of normalisations, weights of linear layers.
        norms: How many normalisations were changed.
        layers: How many linear layers.
    """

    values: dict[str, Tensor]
    norms: int
    layers: int


@final
@dataclass(frozen=True)
class _Site:
    norm: fx.Node
    linears: tuple[fx.Node, ...]


def migrate(module: fx.GraphModule, calls: Iterable[NDArray[np.float32]], strength: float = STRENGTH) -> Migration:
    """Find every normalisation whose channels go into linear layers only, and choose each channel's divisor from calibration images.

    Args:
        module: Graph module of a program; left as it is.
        calls: Images float32 ``(batch, 3, H, W)`` in [0, 1], a call each.
        strength: α in [0, 1].

    Returns:
        The new values; none where the program has no such normalisation.
    """
    sites = list(_sites(module))
    ranges: dict[fx.Node, Tensor] = {}
    watch(module, calls, {linear: _largest(ranges, site.norm) for site in sites for linear in site.linears})
    values: dict[str, Tensor] = {}
    for site in sites:
        names = [parameter_of(linear.args[1]) for linear in site.linears]
        weights = [value_of(module, name).detach() for name in names]
        columns = torch.stack([weight.abs().amax(0) for weight in weights]).amax(0)
        divisor = (ranges[site.norm].clamp(min=SMALLEST) ** strength / columns.clamp(min=SMALLEST) ** (1 - strength)).clamp(min=SMALLEST)
        values |= {name: weight * divisor for name, weight in zip(names, weights, strict=True)}
        values |= {name: value_of(module, name).detach() / divisor for name in map(parameter_of, site.norm.args[2:4]) if name}
    return Migration(values, len(sites), sum(len(site.linears) for site in sites))


def _sites(module: fx.GraphModule) -> Iterable[_Site]:
    uses = _uses(module)
    for norm in module.graph.find_nodes(op="call_function", target=_NORM):
        scale = parameter_of(norm.args[2]) if len(norm.args) > 2 else ""
        linears = _behind(norm)
        weights = [parameter_of(linear.args[1]) for linear in linears or ()]
        owned = [scale, *weights, *([parameter_of(norm.args[3])] if len(norm.args) > 3 and norm.args[3] is not None else [])]
        if linears and len(norm.args[1]) == 1 and all(name and uses[name] == 1 for name in owned):
            yield _Site(norm, tuple(linears))


def _uses(module: fx.GraphModule) -> dict[str, int]:
    """How many operators use each parameter: what several share is left alone."""
    uses: dict[str, int] = {}
    for node in module.graph.find_nodes(op="get_attr"):
        uses[str(node.target)] = uses.get(str(node.target), 0) + len(node.users)
    return uses


def _behind(node: fx.Node) -> list[fx.Node] | None:
    """The linear layers that a value goes into with its channels apart; ``None`` where it goes anywhere else."""
    linears: list[fx.Node] = []
    for user in node.users:
        if user.target is LINEAR and user.args[0] is node and user.args[1] is not node:
            linears.append(user)
        elif user.target in _BY_TOKEN and _apart(user) and (behind := _behind(user)) is not None:
            linears += behind
        else:
            return None
    return linears


def _apart(node: fx.Node) -> bool:
    position = _BY_TOKEN[node.target]  # type: ignore[index]
    if position is None:
        return True
    dimensions = node.args[0].meta["val"].ndim  # type: ignore[union-attr]
    axes: Any = node.args[position] if len(node.args) > position else 0
    return all(axis % dimensions != dimensions - 1 for axis in (axes if isinstance(axes, list | tuple) else [axes])) and axes != []


def _largest(ranges: dict[fx.Node, Tensor], norm: fx.Node) -> Callable[[Tensor], None]:
    def see(values: Tensor) -> None:
        largest = values.abs().flatten(0, -2).amax(0)
        ranges[norm] = torch.maximum(ranges[norm], largest) if norm in ranges else largest

    return see
