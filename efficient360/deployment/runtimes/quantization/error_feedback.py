"""Weights rounded one input after another, each making up for the errors of those before it: GPTQ, in one pass over the network.

Frantar et al. 2023, GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, algorithm 1; inputs in the order of their energy, with
scales of fixed groups (the ``act_order`` and ``static_groups`` of its published code).
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from efficient360.deployment.runtimes.quantization.layers import layers_of, value_of
from efficient360.deployment.runtimes.quantization.weight_grid import GridWeight, group_of, largest_code, round_to_nearest

DAMPING: Final = 0.01
"""Added to the diagonal of the second moments, as a share of its mean."""


def with_error_feedback(weight: Tensor, moments: Tensor, bits: int) -> GridWeight:
    """Codes of a weight that keep a layer's outputs on calibration data, rather than the weight.

    The largest weight of each group keeps its code: the grid can be told from the weights on it.

    Args:
        weight: ``(out, in)``.
        moments: Second moments of the inputs, ``Xᵀ X`` float64 ``(in, in)``, of any scale.
        bits: Of a code.
    """
    nearest = round_to_nearest(weight, bits)
    columns = nearest.scales.repeat_interleave(nearest.group, 1).double()
    levels = largest_code(bits)
    groups = nearest.codes.abs().reshape(len(nearest.codes), -1, nearest.group)
    fixed = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, groups.argmax(-1, keepdim=True), True).flatten(1)
    diagonal = moments.diagonal()
    order = diagonal.argsort(descending=True, stable=True)
    damped = moments.clone()
    damped.diagonal().add_(DAMPING * float(diagonal.mean()) or 1.0)
    factor = torch.linalg.cholesky(torch.linalg.inv(damped[order][:, order]), upper=True)
    rest = weight.double()[:, order].clone()
    codes = torch.empty_like(nearest.codes)
    for position, column in enumerate(order.tolist()):
        scale = columns[:, column]
        code = (rest[:, position] / scale).round().clamp(-levels, levels)
        code = torch.where(fixed[:, column], nearest.codes[:, column].double(), code)
        error = (rest[:, position] - code * scale) / factor[position, position]
        rest[:, position + 1 :] -= error[:, None] * factor[position, position + 1 :]
        codes[:, column] = code.to(torch.int8)
    return GridWeight(codes, nearest.scales, bits)


def round_program(module: fx.GraphModule, calls: Sequence[NDArray[np.float32]], bits: int, left: Iterable[str] = ()) -> dict[str, GridWeight]:
    """Put the linear layers of a program on the grid, one after another: each sees the inputs that the rounded layers before it make.

    Every operator is run once for all images before the next, so that one pass is enough.

    Args:
        module: Graph module of a program; its weights are replaced by those on the grid.
        calls: Calibration images float32 ``(batch, 3, H, W)`` in [0, 1], a call each.
        bits: Of a code.
        left: Layers that stay as they are.

    Returns:
        What the layers were put on, by name of the weight; without those whose number of inputs no group divides.
    """
    left = set(left)
    pending = {layer.nodes[0]: layer for layer in layers_of(module).values() if layer.linear and layer.name not in left}
    last = _last_uses(module)
    runs = [fx.Interpreter(module, garbage_collect_values=False) for _ in calls]
    for run, images in zip(runs, calls, strict=True):
        run.args_iter = iter([torch.from_numpy(images)])
    rounded: dict[str, GridWeight] = {}
    with torch.inference_mode():
        for node in module.graph.nodes:
            layer = pending.get(node)
            if layer is not None and group_of(value_of(module, layer.weight).shape[1]) is not None:
                weight = value_of(module, layer.weight)
                rounded[layer.weight] = with_error_feedback(weight.detach(), _moments(runs, node), bits)
                weight.data.copy_(rounded[layer.weight].values)
            for run in runs:
                run.env[node] = run.run_node(node)
                for used in last.get(node, ()):
                    del run.env[used]
    return rounded


def _moments(runs: Sequence[fx.Interpreter], node: fx.Node) -> Tensor:
    total: Any = 0
    for run in runs:
        inputs = run.fetch_args_kwargs_from_env(node)[0][0].flatten(0, -2).double()
        total = total + inputs.T @ inputs
    moments: Tensor = total
    return moments


def _last_uses(module: fx.GraphModule) -> dict[fx.Node, list[fx.Node]]:
    """Values that are used by a node for the last time."""
    last: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        last |= dict.fromkeys(node.all_input_nodes, node)
    uses: dict[fx.Node, list[fx.Node]] = {}
    for value, user in last.items():
        uses.setdefault(user, []).append(value)
    return uses
