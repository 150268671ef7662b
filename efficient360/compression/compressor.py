"""The contract of a compressor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import safetensors.torch
from torch import Tensor, nn

from efficient360.measurement import Conditions


@final
@dataclass(frozen=True)
class Compressed:
    """A network that was made smaller or cheaper.

    Args:
        network: A copy that computes with what is stored, in float32; the original is never changed.
        stored: All that a file of it holds, by name.
        rebuilt: Whether it computes with other operators than the original; else only its weights have other values.
    """

    network: nn.Module
    stored: Mapping[str, Tensor]
    rebuilt: bool

    @cached_property
    def file_bytes(self) -> int:
        """Bytes of the safetensors file that holds it, header included."""
        return file_bytes(self.stored)


class Compressor(ABC):
    """A way to approximate a network. Frozen dataclasses; their one field is how strongly they do it."""

    name: ClassVar[str]
    """Stable snake_case name."""
    title: ClassVar[str]
    """What it is called in print."""

    @property
    @abstractmethod
    def conditions(self) -> Conditions:
        """What it does, for the conditions of its measurements."""

    @property
    @abstractmethod
    def strength(self) -> str:
        """How strongly it does it, in words; empty where there is nothing to choose."""

    @abstractmethod
    def compress(self, network: nn.Module) -> Compressed:
        """The compressed copy.

        Args:
            network: In eval mode, floating point; left unchanged.

        Raises:
            Unsupported: The network has nothing that it could work on.
        """


def file_bytes(stored: Mapping[str, Tensor]) -> int:
    """Bytes of the safetensors file that holds some tensors, header included."""
    return len(safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in stored.items()}))
