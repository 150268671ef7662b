"""Queries, keys and values apart, each in four dimensions: for runtimes that have no tensors of five."""

import operator
from math import prod
from typing import Any

import torch
from torch import fx

RESHAPES = (torch.ops.aten.reshape.default, torch.ops.aten.view.default)


def split_heads(module: fx.GraphModule) -> fx.GraphModule:
    """Write ``unbind(permute(reshape(x, [B, N, n, h, d]), …))`` as n slices of x, each reshaped and permuted by itself.

    Whatever the order of the permutation and the axis that is unbound, as long as that axis is the slowest of those that x's last axis is split into.
    What does not have this form stays as it is.

    Args:
        module: Graph module of an exported program with static shapes; changed in place.

    Returns:
        The same module; its answers are the same to the bit.
    """
    for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.unbind.int):
        _split(module.graph, node)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    return module


def _split(graph: fx.Graph, unbind: fx.Node) -> None:
    permute = _made_by(unbind.args[0], (torch.ops.aten.permute.default,))
    reshape = _made_by(permute.args[0], RESHAPES) if permute else None
    if permute is None or reshape is None:
        return
    whole: Any = reshape.args[0]
    shape, before = list(reshape.meta["val"].shape), list(whole.meta["val"].shape)
    order = [axis % len(shape) for axis in _integers(permute.args[1])]
    axis = order[unbind.args[1] if len(unbind.args) > 1 else 0]  # type: ignore[index]
    if prod(shape[axis:]) != before[-1] or any(user.target is not operator.getitem for user in unbind.users):
        return
    width = before[-1] // shape[axis]
    rest = [a - (a > axis) for a in order if a != axis]
    for item in list(unbind.users):
        part = item.args[1]
        assert isinstance(part, int)
        with graph.inserting_before(item):
            slim = graph.call_function(torch.ops.aten.slice.Tensor, (whole, len(before) - 1, part * width, (part + 1) * width))
            shaped = graph.call_function(torch.ops.aten.reshape.default, (slim, shape[:axis] + shape[axis + 1 :]))
            ready = graph.call_function(torch.ops.aten.permute.default, (shaped, rest))
        slim.meta["val"] = whole.meta["val"].narrow(-1, part * width, width)
        shaped.meta["val"] = slim.meta["val"].reshape(shape[:axis] + shape[axis + 1 :])
        ready.meta["val"] = shaped.meta["val"].permute(rest)
        item.replace_all_uses_with(ready)


def _made_by(value: Any, targets: tuple[Any, ...]) -> fx.Node | None:
    return value if isinstance(value, fx.Node) and value.target in targets else None


def _integers(value: Any) -> list[int]:
    return [int(v) for v in value]
