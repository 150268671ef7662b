"""Architectures by name, of whichever library: looked up, suggested when misspelt, and built without touching the global random state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from efficient360.core.close_names import close_names
from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.libraries.catalogue import LIBRARIES, library_of
from efficient360.models.size_limits import MOST_PARTS, OVERSIZED, SmallTensors, at_most, require_memory, require_plausible
from efficient360.models.structure.structure import impose, split_structure


def close_architectures(name: str) -> tuple[str, ...]:
    """Up to three names of architectures, of all libraries, that look like ``name``."""
    return close_names(name, [known for library in LIBRARIES for known in library.names()])


def require_architecture(name: str) -> None:
    """Check that the library has an architecture of this name.

    Raises:
        CheckpointError: It has none; close names are suggested.
    """
    library_of(name).require(name)


def default_config(name: str) -> dict[str, Any]:
    """What is usual for an architecture or ``architecture.tag`` in timm's terms, see :meth:`Library.defaults`; empty where nothing is."""
    return dict(library_of(name).defaults(name))


def build_network(architecture: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """The architecture with seeded random weights, on the CPU, in eval mode.

    The global random state is left as it was.

    Raises:
        CheckpointError: It can't be built with these arguments.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed the accelerators.
        torch.default_generator.manual_seed(seed)
        return _create(architecture, arguments)


def skeleton(architecture: str, arguments: Mapping[str, Any], parts: int = MOST_PARTS) -> nn.Module:
    """The architecture without data (on torch's ``meta`` device): names and shapes only, in milliseconds.

    Args:
        architecture: Its name.
        arguments: Its arguments.
        parts: Modules and parameters that it may consist of.

    Raises:
        CheckpointError: It can't be built with these arguments; it is larger than ``parts`` or than this machine's memory (``architecture-oversized``).
    """
    with at_most(architecture, parts):
        try:
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                network = _create(architecture, arguments)
        except CheckpointError as error:
            if error.code == OVERSIZED:
                raise
            # A few architectures compute with values while they are built, which "meta" hasn't got.
            with SmallTensors(architecture):
                network = build_network(architecture, arguments, seed=0)
    require_memory(architecture, network)
    return network


def _create(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    require_plausible(architecture, arguments)
    given, structure = split_structure(arguments)
    try:
        network = library_of(architecture).create(architecture, given).eval()
        impose(structure, network, architecture)
        return network
    except CheckpointError:
        raise
    except Exception as error:  # All that is called is the library's, with arguments that came from outside.
        listed = ", ".join(f"{key}={shown(value)}" for key, value in arguments.items())
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            "architecture-arguments",
            f"{architecture} can't be built with {listed}: {reason}",
            "correct the --arch-arg values or the sidecar's model_args",
        ) from error
