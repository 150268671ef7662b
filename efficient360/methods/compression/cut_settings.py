"""Which cuts a network can have, and at which strengths: asked before any work is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from torch import nn

from efficient360.core.measurement import Scalar
from efficient360.errors import Unsupported
from efficient360.methods.compression.compressor import weights_of
from efficient360.methods.compression.cuts import TWO_OF_FOUR, hidden_kept
from efficient360.methods.compression.low_rank import require_factorable
from efficient360.methods.compression.resolution import other_sizes
from efficient360.models.model import TorchModel
from efficient360.models.structure.merging_blocks import require_plain_blocks
from efficient360.models.structure.slicing import has_heads, mlp_layers

SHARES: Final = (75, 50, 25)
"""Percent of MLPs and of heads that are kept."""
MERGED: Final = (20, 40, 60)
RANKS: Final = (75, 50)
CLUSTERS: Final = (64, 16)
TITLES: Final[Mapping[str, str]] = {
    "input_size": "Input size",
    "dropped_blocks": "Blocks dropped",
    "heads_kept": "Heads kept",
    "mlp_kept": "MLP width kept",
    "merged_tokens": "Patches merged",
    "low_rank": "Low rank",
    "sparsity": "Sparsity",
    "clusters": "Clusters",
}
"""Display names of the cuts, by field of :class:`Cuts`."""


@final
@dataclass(frozen=True)
class CutSettings:
    """What a search may try.

    Args:
        settings: By field of :class:`Cuts`, from unchanged to strong, as :meth:`Cuts.of` reads them; at least two each.
        refused: Why the other cuts can't be made of this network, in one sentence each.
    """

    settings: Mapping[str, tuple[Scalar, ...]]
    refused: Mapping[str, str]


def cut_settings(model: TorchModel) -> CutSettings:
    """The cuts that a network can have. Nothing is cut, no image of a data set is looked at.

    Args:
        model: Left unchanged.
    """
    offers: dict[str, Callable[[TorchModel], tuple[Scalar, ...]]] = {
        "input_size": _sizes,
        "dropped_blocks": _depths,
        "heads_kept": _heads,
        "mlp_kept": _widths,
        "merged_tokens": _merged,
        "low_rank": _ranks,
        "sparsity": _sparsity,
        "clusters": _clusters,
    }
    settings: dict[str, tuple[Scalar, ...]] = {}
    refused: dict[str, str] = {}
    for name, offer in offers.items():
        try:
            settings[name] = offer(model)
        except Unsupported as error:
            refused[name] = error.message
    return CutSettings(settings, refused)


def conflict(settings: Mapping[str, Scalar]) -> str:
    """Why these settings can't be had together, in one sentence; ``""`` where they can."""
    if settings.get("sparsity") == TWO_OF_FOUR and settings.get("clusters"):
        return "2:4 sparsity and clusters exclude each other: a table has no place for zeros"
    return ""


def _sizes(model: TorchModel) -> tuple[Scalar, ...]:
    sizes = other_sizes(model)
    if not sizes:
        raise _refusal(model, "no-other-size", "has no patches of a known size, or its images are not square")
    return (model.size[1], *sizes)


def _depths(model: TorchModel) -> tuple[Scalar, ...]:
    blocks = len(model.view.blocks)
    if blocks < 2:
        raise _refusal(model, "no-such-depth", "has no blocks that were recognised")
    return tuple(range(max(2, blocks // 2 + 1)))


def _heads(model: TorchModel) -> tuple[Scalar, ...]:
    attentions: list[Any] = [module for module in model.network.modules() if has_heads(module)]
    most = max((module.num_heads for module in attentions), default=1)
    if most < 2:
        raise _refusal(model, "no-heads", "has no attention of timm's standard kind with several heads")
    kept = {max(1, round(most * share / 100)) for share in SHARES} - {most}
    return tuple(f"{-(-100 * heads // most)} %" for heads in (most, *sorted(kept, reverse=True)))


def _widths(model: TorchModel) -> tuple[Scalar, ...]:
    hidden = [layers[0].out_features for module in model.network.modules() if (layers := mlp_layers(module)) is not None]
    if not hidden:
        raise _refusal(model, "no-mlps", "has no MLP of timm's or torchvision's standard kind")
    widths = {hidden_kept(max(hidden), share): share for share in (*reversed(SHARES), 100)}
    return tuple(f"{share} %" for share in sorted(widths.values(), reverse=True))


def _merged(model: TorchModel) -> tuple[Scalar, ...]:
    require_plain_blocks(model.network)
    return ("0 %", *(f"{share} %" for share in MERGED))


def _ranks(model: TorchModel) -> tuple[Scalar, ...]:
    for share in RANKS:
        require_factorable(model.network, share)
    return ("none", *(f"{share} %" for share in RANKS))


def _sparsity(model: TorchModel) -> tuple[Scalar, ...]:
    weights_of(model.network)
    return ("none", TWO_OF_FOUR)


def _clusters(model: TorchModel) -> tuple[Scalar, ...]:
    weights_of(model.network)
    return (0, *CLUSTERS)


def _refusal(model: TorchModel, code: str, why: str) -> Unsupported:
    network: nn.Module = model.network
    return Unsupported(code, f"{type(network).__name__} {why}", "")
