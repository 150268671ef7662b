"""Attention in plain operators: what runtimes without a fused attention of their own convert correctly and delegate."""

import math
import operator

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from efficient360.errors import Unsupported

FUSED = torch.ops.aten.scaled_dot_product_attention.default


def unfused(program: ExportedProgram | fx.GraphModule) -> nn.Module:
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
    given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), node.args, strict=False)) | dict(node.kwargs)
    if given.get("dropout_p"):
        raise Unsupported("attention-dropout", f"an attention drops {given['dropout_p']:.0%} of its weights at random", "export the network in eval mode")
    query, key, value, mask = (given.get(name) for name in ("query", "key", "value", "attn_mask"))
    assert isinstance(query, fx.Node)
    assert isinstance(key, fx.Node)
    assert isinstance(value, fx.Node)
    shape = query.meta["val"].shape
    scale = given.get("scale")
    with graph.inserting_before(node):
        if given.get("enable_gqa"):
            key, value = (_repeated(graph, one, shape[-3]) for one in (key, value))
        # Scaling the query costs tokens x width; scaling the scores would cost tokens x tokens.
        scaled = graph.call_function(torch.ops.aten.mul.Tensor, (query, 1 / math.sqrt(shape[-1]) if scale is None else scale))
        transposed = graph.call_function(torch.ops.aten.transpose.int, (key, -2, -1))
        scores = graph.call_function(torch.ops.aten.matmul.default, (scaled, transposed))
        if given.get("is_causal"):
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
