"""What the rest asks of a library of architectures: names, a network by name, and what is usual for it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import nn


@final
@dataclass(frozen=True)
class Published:
    """What a library publishes under a reference: an architecture, and weights where it has some.

    Args:
        architecture: Its name, as :meth:`Library.owns` knows it.
        config: As :meth:`Library.defaults`, of these weights; under ``model_args`` the arguments that the architecture is built with for them.
        repository: Hub repository of the weights, ``""`` where they are not there.
        files: Names that the weights may have in it; empty for the usual ones.
        url: Where else they are, ``""`` where there are none.
        sha256: Begin of the SHA-256 of the file at ``url``, in hexadecimal; ``""`` where it is not known, so that it is not downloaded.
    """

    architecture: str
    config: Mapping[str, Any] = field(default_factory=dict)
    repository: str = ""
    files: tuple[str, ...] = ()
    url: str = ""
    sha256: str = ""


class Library(ABC):
    """A library of architectures (timm, torchvision, a user's own file …), of which every architecture's name says by its form that it is one.

    One object stands for a library; it holds no state.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The library's name with its version, for messages: ``timm 1.0.20``."""

    @abstractmethod
    def owns(self, architecture: str) -> bool:
        """Whether a name has the form of this library's names (``torchvision:…``, ``….py:…``), whether or not there is such an architecture."""

    @abstractmethod
    def require(self, architecture: str) -> None:
        """Check that there is an architecture of this name, without building it.

        Raises:
            CheckpointError: There is none (``unknown-architecture``); close names are suggested.
        """

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all architectures, as :meth:`owns` knows them, from which close ones are suggested; empty where they can't be listed."""

    @abstractmethod
    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        """The network with untrained weights, on torch's default device, which may be ``meta``.

        The caller seeds, and keeps the global random state. It loads no weights and reaches no network. What it raises of its own accord, beside a
        ``CheckpointError``, is told as arguments that do not suit the architecture.

        Args:
            architecture: A name for which :meth:`require` raises nothing.
            arguments: Plain data, ``num_classes`` among them where the number of classes is known.

        Raises:
            CheckpointError: It can't be built.
        """

    @abstractmethod
    def defaults(self, architecture: str) -> Mapping[str, Any]:
        """What is usual for an architecture, in the terms of timm's pretrained configurations; without the keys that are not known.

        ``num_classes``; ``input_size`` ``(3, H, W)``, ``mean``, ``std`` in [0, 1], ``interpolation``, ``crop_pct``, ``crop_mode``: the preprocessing;
        ``classifier``: the dotted name, or names, of the layers whose rows are the classes.
        """

    @abstractmethod
    def published(self, reference: str) -> Published | None:
        """What stands behind a reference to an architecture or to weights by name; ``None`` where it names no architecture of this library.

        Raises:
            CheckpointError: It names weights that an architecture hasn't got.
        """

    @abstractmethod
    def source(self, architecture: str) -> str:
        """A digest of code that makes the network and that no version tells: ``""`` for an installed library, the file's for a user's own."""
