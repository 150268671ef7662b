"""The contract of a compressor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, final

import safetensors.torch
from torch import Size, Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.methods.compression.tensors import stored_tensors

Parts = Mapping[str, Tensor]
"""What is stored in place of a weight, by name."""


@final
@dataclass(frozen=True)
class Compressed:
    """A network that was made smaller or cheaper.

    Args:
        network: A copy that computes with what is stored, in float32; the original is never changed.
        stored: All that a file of it holds, by name.
        rebuilt: Whether it computes with other operators than the original; else only its weights have other values.
        note: What the file's header says beside names and shapes, to read it again.
    """

    network: nn.Module
    stored: Mapping[str, Tensor]
    rebuilt: bool
    note: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def file(self) -> bytes:
        """The safetensors file that holds it."""
        return file_of(self.stored, self.note)


class Compressor(ABC):
    """A way to approximate a network. Frozen dataclasses; their one field is how strongly they do it."""

    name: ClassVar[str]
    """Stable snake_case name."""
    title: ClassVar[str]
    """What it is called in print."""

    @property
    @abstractmethod
    def strength(self) -> Conditions:
        """How strongly it does it, its one setting: ``{"clusters": 64}``, ``{"left_out": "50 %"}``; empty where there is nothing to choose."""

    @abstractmethod
    def compress(self, network: nn.Module) -> Compressed:
        """The compressed copy.

        Args:
            network: In eval mode, floating point; left unchanged.

        Raises:
            Unsupported: The network has nothing that it could work on.
        """


class Coder(Compressor):
    """A compressor that stores something else in place of each weight, from which a weight is made again: the architecture stays."""

    @abstractmethod
    def decode(self, parts: Parts, shape: Size) -> Tensor:
        """A weight, float32 of ``shape``, of what is stored of it.

        Raises:
            KeyError, ValueError, IndexError, RuntimeError: The parts are not those of such a weight.
        """


def variant_of(compressor: Compressor) -> str:
    """``NAME`` or ``NAME:STRENGTH``, as :func:`efficient360.methods.compression.variants.parse` reads it."""
    return ":".join([compressor.name, *(str(value).removesuffix(" %") for value in compressor.strength.values())])


def conditions_of(compressor: Compressor) -> Conditions:
    """The conditions of what is measured of its result."""
    return {"compressor": compressor.name, **compressor.strength}


def words_of(compressor: Compressor) -> str:
    """Its strength in words: ``64 clusters``, ``50 % left out``; empty where there is nothing to choose."""
    return " ".join(f"{value} {setting.replace('_', ' ')}" for setting, value in compressor.strength.items())


def full_bytes(network: nn.Module) -> int:
    """Bytes of the safetensors file that holds a network as it is."""
    return len(file_of(stored_tensors(network), {}))


def file_of(stored: Mapping[str, Tensor], note: Mapping[str, str]) -> bytes:
    """The safetensors file that holds some tensors."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in stored.items()}, dict(note) or None)
