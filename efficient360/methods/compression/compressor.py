"""Compressors: the contract, and what those share that store a code in place of each weight."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, final

import safetensors.torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from efficient360.core.measurement import Conditions
from efficient360.errors import Unsupported
from efficient360.models.compressed_file import metadata_of, part_name, stored_tensors, tied_names
from efficient360.models.structure.factored_linear import FactoredLinear
from efficient360.models.weight_codes import Parts, decoder_of


@final
@dataclass(frozen=True)
class CompressedNetwork:
    """A network made smaller or cheaper.

    Args:
        network: A copy that computes with what is stored, in float32; the original is never changed.
        stored: All tensors that a file of it holds, by name.
        rebuilt: Whether it computes with other operators than the original; else only its weights have other values.
        metadata: Of the file's header, beside names and shapes: what is needed to decode it.
    """

    network: nn.Module
    stored: Mapping[str, Tensor]
    rebuilt: bool
    metadata: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def file(self) -> bytes:
        """The safetensors file that holds it."""
        return safetensors_bytes(self.stored, self.metadata)


class Compressor(ABC):
    """A way to approximate a network. Frozen dataclasses; their one field is the strength."""

    name: ClassVar[str]
    """Stable snake_case name."""
    title: ClassVar[str]
    """Display name."""

    @property
    @abstractmethod
    def strength(self) -> Conditions:
        """Its one setting: ``{"clusters": 64}``, ``{"left_out": "50 %"}``; empty where there is none."""

    @abstractmethod
    def compress(self, network: nn.Module) -> CompressedNetwork:
        """The compressed copy.

        Args:
            network: In eval mode, floating point; left unchanged.

        Raises:
            Unsupported: The network has nothing that it applies to.
        """


def variant_of(compressor: Compressor) -> str:
    """``NAME`` or ``NAME:STRENGTH``, as :func:`efficient360.methods.compression.variants.parse` reads it."""
    return ":".join([compressor.name, *(str(value).removesuffix(" %") for value in compressor.strength.values())])


def conditions_of(compressor: Compressor) -> Conditions:
    """The conditions of its measurements."""
    return {"compressor": compressor.name, **compressor.strength}


def describe_strength(compressor: Compressor) -> str:
    """Its strength in words: ``64 clusters``, ``50 % left out``; empty where there is none."""
    return " ".join(f"{value} {setting.replace('_', ' ')}" for setting, value in compressor.strength.items())


def uncompressed_bytes(network: nn.Module) -> int:
    """Bytes of the safetensors file that holds a network uncompressed."""
    return len(safetensors_bytes(stored_tensors(network), {}))


def weights_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are compressed: weights of linear layers, convolutions and multi-head attentions by name, tied ones once.

    They make up nearly all bytes of a network. Biases, norms, embeddings and tokens are not among them.

    Raises:
        Unsupported: There is none.
    """
    weights = {id(weight) for module in network.modules() for weight in _weights(module)}
    named = {name: parameter for name, parameter in network.named_parameters() if id(parameter) in weights and parameter.is_floating_point()}
    if not named:
        message = f"{type(network).__name__} has no linear layer or convolution"
        raise Unsupported("no-weights", message, "evaluate a network in floating point, as it was trained")
    return named


def encode_weights(network: nn.Module, compressor: Compressor, encode: Callable[[Tensor], Parts]) -> CompressedNetwork:
    """A copy whose every weight is encoded and decoded again: it computes with exactly what is stored.

    Args:
        network: Left unchanged.
        compressor: One whose code is among :data:`efficient360.models.weight_codes.CODES`.
        encode: From a weight, ``(out, in, …)`` float32, to what is stored in its place.

    Raises:
        Unsupported: As :func:`weights_of`.
    """
    variant = variant_of(compressor)
    decode = decoder_of(variant)
    compressed = copy.deepcopy(network)
    weights = weights_of(compressed)
    stored = {name: tensor for name, tensor in stored_tensors(compressed).items() if name not in weights}
    for name, weight in weights.items():
        parts = encode(weight.detach().float())
        weight.data = decode(parts, weight.shape).to(weight)
        stored |= {part_name(name, part): tensor for part, tensor in parts.items()}
    metadata = metadata_of(variant, {name: weight.shape for name, weight in weights.items()}, tied_names(compressed))
    return CompressedNetwork(compressed, stored, rebuilt=False, metadata=metadata)


def _weights(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.Linear | _ConvNd):
        return [module.weight]
    if isinstance(module, nn.MultiheadAttention):
        return [w for w in (module.in_proj_weight, module.q_proj_weight, module.k_proj_weight, module.v_proj_weight) if w is not None]
    if isinstance(module, FactoredLinear):
        return [module.down, module.up]
    return []


def safetensors_bytes(stored: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The safetensors file that holds tensors, with metadata in its header."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in stored.items()}, dict(metadata) or None)
