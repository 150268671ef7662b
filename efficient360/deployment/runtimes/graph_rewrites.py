"""Rewrites of an exported graph for runtimes that lack an operator: attention decomposed, queries, keys and values split in four dimensions."""

import math
import operator
from math import prod
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from efficient360.errors import Unsupported

FUSED = torch.ops.aten.scaled_dot_product_attention.default


def decompose_attention(program: ExportedProgram | fx.GraphModule) -> nn.Module:
    """The same network with every ``aten.scaled_dot_product_attention`` written out as matmul, softmax, matmul.

    Masks (boolean or added), ``scale``, ``is_causal``, grouped keys and keys broadcast over heads are all kept.

    Args:
        program: An exported program, or the graph module of one; a graph module is changed in place.

    Returns:
        A module with the program's own inputs and outputs, to call or export again.

    Raises:
        Unsupported: An attention drops at random (``attention-dropout``), so no rewrite gives the same answers.
    """
    module = program.module() if isinstance(program, ExportedProgram) else program
    assert isinstance(module, fx.GraphModule)
    for node in module.graph.find_nodes(op="call_function", target=FUSED):
        _write_out(module.graph, node)
    module.graph.lint()
    module.recompile()
    return module


def _write_out(graph: fx.Graph, node: fx.Node) -> None:
    arguments = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), node.args, strict=False)) | dict(node.kwargs)
    if arguments.get("dropout_p"):
        raise Unsupported("attention-dropout", f"an attention drops {arguments['dropout_p']:.0%} of its weights at random", "export the network in eval mode")
    query, key, value, mask = (arguments.get(name) for name in ("query", "key", "value", "attn_mask"))
    assert isinstance(query, fx.Node)
    assert isinstance(key, fx.Node)
    assert isinstance(value, fx.Node)
    shape = query.meta["val"].shape
    scale = arguments.get("scale")
    with graph.inserting_before(node):
        if arguments.get("enable_gqa"):
            key, value = (_repeated(graph, tensor, shape[-3]) for tensor in (key, value))
        # Scaling the query costs tokens x width; scaling the scores would cost tokens x tokens.
        scaled = graph.call_function(torch.ops.aten.mul.Tensor, (query, 1 / math.sqrt(shape[-1]) if scale is None else scale))
        transposed = graph.call_function(torch.ops.aten.transpose.int, (key, -2, -1))
        scores = graph.call_function(torch.ops.aten.matmul.default, (scaled, transposed))
        if arguments.get("is_causal"):
            mask = _causal(graph, query, key)
        weights = _weights(graph, scores, mask, query.meta["val"].dtype)
        plain = graph.call_function(torch.ops.aten.matmul.default, (weights, value))
    plain.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(plain)
    graph.erase_node(node)


def _repeated(graph: fx.Graph, node: fx.Node, heads: int) -> fx.Node:
    """Grouped keys or values, each repeated for the queries of its group."""
    times = operator.floordiv(heads, node.meta["val"].shape[-3])
    repeated = graph.call_function(torch.ops.aten.repeat_interleave.self_int, (node, times, -3))
    repeated.meta["val"] = node.meta["val"].repeat_interleave(times, -3)
    return repeated


def _causal(graph: fx.Graph, query: fx.Node, key: fx.Node) -> fx.Node:
    """Query i sees keys 0 to i, also where their numbers differ."""
    size = [query.meta["val"].shape[-2], key.meta["val"].shape[-2]]
    ones = graph.call_function(torch.ops.aten.ones.default, (size,), {"dtype": torch.bool})
    mask = graph.call_function(torch.ops.aten.tril.default, (ones,))
    mask.meta["val"] = torch.ones(size, dtype=torch.bool)
    return mask


def _weights(graph: fx.Graph, scores: fx.Node, mask: object, dtype: torch.dtype) -> fx.Node:
    if mask is None:
        return graph.call_function(torch.ops.aten.softmax.int, (scores, -1))
    assert isinstance(mask, fx.Node)
    if mask.meta["val"].dtype != torch.bool:
        added = graph.call_function(torch.ops.aten.add.Tensor, (scores, mask))
        return graph.call_function(torch.ops.aten.softmax.int, (added, -1))
    # A query that may see nothing gets zeros from the fused operator: not the NaN of a softmax over minus infinity only.
    unseen = graph.call_function(torch.ops.aten.logical_not.default, (mask,))
    masked = graph.call_function(torch.ops.aten.masked_fill.Scalar, (scores, unseen, torch.finfo(dtype).min))
    softmax = graph.call_function(torch.ops.aten.softmax.int, (masked, -1))
    return graph.call_function(torch.ops.aten.masked_fill.Scalar, (softmax, unseen, 0.0))


RESHAPES = (torch.ops.aten.reshape.default, torch.ops.aten.view.default)


def split_qkv(module: fx.GraphModule) -> fx.GraphModule:
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
