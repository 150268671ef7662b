"""timm's architectures by name: looked up, suggested when misspelt, and built without touching the global random state."""

import difflib
import warnings
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg, is_model, list_models
from torch import nn

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.size_limits import MOST_PARTS, OVERSIZED, SmallTensors, at_most, require_memory, require_plausible

NORM_EPS = "layer_norm_eps"
"""An argument of ours beside timm's: the ε of every LayerNorm, which timm takes only as code, not as data."""

# What timm.create_model takes beside the architecture's own arguments. A sidecar may be a stranger's: it must not load another file.
_RESERVED = frozenset({"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "features_only", "pruned", "scriptable"})


_LONGEST_NAME = 100


def close_names(name: str, among: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Up to three timm names, or names of ``among``, that look like ``name``."""
    if len(name) > _LONGEST_NAME:
        return ()
    known = among or tuple(list_models())
    near = {candidate: _likeness(name, candidate) for candidate in known}
    best = sorted((candidate for candidate in known if near[candidate] >= 0.75), key=lambda c: (-near[c], len(c), c))
    return tuple(best[:3])


def _likeness(name: str, candidate: str) -> float:
    """In [0, 1]: how alike a name and a candidate, or the candidate's beginning, are; people leave out the tail."""
    matcher = difflib.SequenceMatcher(None, b=name.lower())
    likeness = 0.0
    for part in (candidate.lower(), candidate.lower()[: len(name) + 1]):
        matcher.set_seq1(part)
        if matcher.quick_ratio() > likeness:
            likeness = max(likeness, matcher.ratio())
    return likeness


def require_architecture(name: str) -> None:
    """Check that timm has an architecture of this name.

    Raises:
        CheckpointError: It has none; close names are suggested.
    """
    if is_model(name):
        return
    close = close_names(name)
    hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists the names"
    raise CheckpointError("unknown-architecture", f"timm {timm.__version__} has no architecture {name!r}", hint)


def pretrained_config(name: str) -> dict[str, Any]:
    """Timm's pretrained configuration of an architecture or ``architecture.tag``; empty where it has none."""
    try:
        config = get_pretrained_cfg(name, allow_unregistered=True)
    except RuntimeError:
        # timm's answer to an unknown tag of a known architecture.
        return {}
    return {} if config is None else dict(config.to_dict())


def build_network(architecture: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """The architecture with seeded random weights, on the CPU, in eval mode.

    The global random state is left as it was.

    Raises:
        CheckpointError: timm can't build it with these arguments.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed the accelerators.
        torch.default_generator.manual_seed(seed)
        return _create(architecture, arguments)


def skeleton(architecture: str, arguments: Mapping[str, Any], parts: int = MOST_PARTS) -> nn.Module:
    """The architecture without data (on torch's ``meta`` device): names and shapes only, in milliseconds.

    Args:
        architecture: timm name.
        arguments: Its arguments.
        parts: Modules and parameters that it may consist of.

    Raises:
        CheckpointError: timm can't build it with these arguments; it is larger than ``parts`` or than this machine's memory (``architecture-oversized``).
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
    given = {key: value for key, value in arguments.items() if key != NORM_EPS}
    require_plausible(architecture, given)
    reserved = _RESERVED & given.keys()
    if reserved:
        raise CheckpointError(
            "architecture-arguments",
            f"{architecture} can't be built with {', '.join(sorted(reserved))}: that says where weights come from or takes the head away",
            "leave it out",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = timm.create_model(architecture, pretrained=False, **given)
    except CheckpointError:
        raise
    except Exception as error:  # All that is called is timm's, with arguments that came from outside.
        listed = ", ".join(f"{key}={shown(value)}" for key, value in given.items())
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            "architecture-arguments",
            f"{architecture} can't be built with {listed}: {reason}",
            "correct the --arch-arg values or the sidecar's model_args",
        ) from error
    if NORM_EPS in arguments:
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = float(arguments[NORM_EPS])
    return network.eval()
