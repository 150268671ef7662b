"""Exact slices of a network's parts: hidden units of an MLP, heads of an attention. What is left computes what the whole did with the others at zero."""

from collections.abc import Sequence
from typing import Any, Final, final

from timm.layers import Attention, Mlp
from torch import Tensor, nn
from torchvision.models.vision_transformer import MLPBlock

from efficient360.models.structure.factored_linear import LINEAR

MLPS: Final[tuple[tuple[type[nn.Module], str, str], ...]] = ((Mlp, "fc1", "fc2"), (MLPBlock, "0", "3"))
"""Classes of MLPs whose hidden units are independent of each other, with the names of their two layers."""


@final
class PassThrough(nn.Module):
    """Stands where a block was: its first input is its output, whatever else it is called with."""

    def forward(self, tokens: Tensor, *_: Any, **__: Any) -> Tensor:
        """``tokens`` itself."""
        return tokens


def mlp_layers(module: nn.Module) -> tuple[nn.Linear, nn.Linear] | None:
    """The two layers of an MLP whose hidden units can be taken out one by one; ``None`` where it is none."""
    names = next(((first, second) for kind, first, second in MLPS if type(module) is kind), None)
    if names is None or not isinstance(getattr(module, "norm", nn.Identity()), nn.Identity):  # a norm over the hidden units ties them together
        return None
    first, second = module.get_submodule(names[0]), module.get_submodule(names[1])
    if type(first) not in LINEAR or type(second) not in LINEAR:
        return None
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    return first, second


def has_heads(module: nn.Module) -> bool:
    """Whether it is an attention whose heads can be taken out one by one."""
    return (
        type(module) is Attention
        and isinstance(module.norm, nn.Identity)  # a norm over all heads ties them together
        and module.gate is None
        and type(module.qkv) in LINEAR
        and type(module.proj) in LINEAR
    )


def keep_hidden(module: nn.Module, units: Sequence[int]) -> None:
    """Keep these hidden units of an MLP, in this order; changed in place."""
    layers = mlp_layers(module)
    assert layers is not None
    _keep_outputs(layers[0], units)
    _keep_inputs(layers[1], units)


def keep_heads(module: Any, heads: Sequence[int]) -> None:
    """Keep these heads of an attention, in this order; changed in place."""
    size = module.head_dim
    inputs = [head * size + place for head in heads for place in range(size)]
    _keep_outputs(module.qkv, [part * module.attn_dim + place for part in range(3) for place in inputs])
    _keep_inputs(module.proj, inputs)
    module.num_heads, module.attn_dim = len(heads), len(inputs)


def _keep_outputs(layer: nn.Linear, rows: Sequence[int]) -> None:
    layer.weight = _kept(layer.weight, layer.weight[list(rows)])
    if layer.bias is not None:
        layer.bias = _kept(layer.bias, layer.bias[list(rows)])
    layer.out_features = len(rows)


def _keep_inputs(layer: nn.Linear, columns: Sequence[int]) -> None:
    layer.weight = _kept(layer.weight, layer.weight[:, list(columns)])
    layer.in_features = len(columns)


def _kept(whole: Tensor, part: Tensor) -> nn.Parameter:
    return nn.Parameter(part.detach().clone(), requires_grad=whole.requires_grad)
