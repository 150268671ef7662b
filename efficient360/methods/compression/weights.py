"""Which parameters of a network are weights: the matrices of its linear layers and convolutions, where nearly all of its bytes are."""

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from efficient360.errors import Unsupported
from efficient360.methods.compression.compressor import Coder, Compressed, Parts, variant_of
from efficient360.methods.compression.packed_file import note_of, part_name
from efficient360.methods.compression.tensors import stored_tensors, tied


def weights_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of linear layers, convolutions and multi-head attentions by parameter name, each once. Biases, norms, embeddings and tokens are none.

    Raises:
        Unsupported: There is none.
    """
    found = {id(weight) for module in network.modules() for weight in _weights(module)}
    named = {name: parameter for name, parameter in network.named_parameters() if id(parameter) in found and parameter.is_floating_point()}
    if not named:
        message = f"{type(network).__name__} has no linear layer or convolution"
        raise Unsupported("no-weights", message, "evaluate a network in floating point, as it was trained")
    return named


def coded(network: nn.Module, coder: Coder, encode: Callable[[Tensor], Parts]) -> Compressed:
    """A copy whose every weight went through a code and back: what it computes with is what is stored, no more.

    Args:
        network: Left unchanged.
        coder: Makes weights again of what is stored.
        encode: From a weight, ``(out, in, …)`` float32, to what is stored of it.

    Raises:
        Unsupported: As :func:`weights_of`.
    """
    copied = copy.deepcopy(network)
    weights = weights_of(copied)
    stored = {name: tensor for name, tensor in stored_tensors(copied).items() if name not in weights}
    for name, weight in weights.items():
        parts = encode(weight.detach().float())
        weight.data = coder.decode(parts, weight.shape).to(weight)
        stored |= {part_name(name, part): tensor for part, tensor in parts.items()}
    note = note_of(variant_of(coder), {name: weight.shape for name, weight in weights.items()}, tied(copied))
    return Compressed(copied, stored, rebuilt=False, note=note)


def _weights(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.Linear | _ConvNd):
        return [module.weight]
    if isinstance(module, nn.MultiheadAttention):
        return [w for w in (module.in_proj_weight, module.q_proj_weight, module.k_proj_weight, module.v_proj_weight) if w is not None]
    return []
