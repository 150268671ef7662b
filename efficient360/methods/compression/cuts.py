"""Cuts: changes of what a network computes, so that it is cheaper in any runtime. One frozen description of all of them, and the network they make."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.core import canonical
from efficient360.core.measurement import Scalar
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.constraints import hold_clusters, hold_zeros
from efficient360.methods.compression.depth import close_gaps, drop_blocks, droppable
from efficient360.methods.compression.low_rank import factorize
from efficient360.methods.compression.moments import input_moments
from efficient360.methods.compression.pruning import TwoOfFourSparsity
from efficient360.methods.compression.resolution import resize_images, resized
from efficient360.methods.compression.structured import choose_groups
from efficient360.models.model import TorchModel
from efficient360.models.structure.merging_blocks import require_plain_blocks
from efficient360.models.structure.slicing import has_heads, keep_heads, keep_hidden, mlp_layers
from efficient360.models.structure.structure import merge_tokens
from efficient360.models.weights import digest

TWO_OF_FOUR: Final = "2:4"
WIDTH_MULTIPLE: Final = 8
"""Hidden units that are kept are a multiple of this, the lanes of a vector register."""
INVENTED: Final = 16
"""Random images that stand for calibration images where there are none."""


@final
@dataclass(frozen=True)
class Cuts:
    """What is changed of a network; the default changes nothing. Made in this order.

    Args:
        input_size: Side of the images in pixels; 0 keeps the network's own.
        dropped_blocks: Number of transformer blocks left out.
        heads_kept: Percent of each attention's heads that are kept, at least one.
        mlp_kept: Percent of each MLP's hidden units that are kept.
        merged_tokens: Percent of the patches that token merging has merged away after the last block.
        low_rank: Percent of a linear layer's weights that its two factors may hold; 100 factors nothing.
        sparsity: ``none`` or ``2:4``.
        clusters: Values in the table of each weight; 0 for no table.

    Raises:
        SettingsError: A setting out of its range (``bad-strength``).
    """

    input_size: int = 0
    dropped_blocks: int = 0
    heads_kept: int = 100
    mlp_kept: int = 100
    merged_tokens: int = 0
    low_rank: int = 100
    sparsity: str = "none"
    clusters: int = 0

    def __post_init__(self) -> None:
        ranges = {"input_size": (0, 4096), "dropped_blocks": (0, 1000), "heads_kept": (1, 100), "mlp_kept": (1, 100), "merged_tokens": (0, 95)}
        for name, (low, high) in (ranges | {"low_rank": (1, 100), "clusters": (0, 256)}).items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError("bad-strength", f"{name} is {getattr(self, name)}, which is not offered", f"give {low} to {high}")
        if self.sparsity not in ("none", TWO_OF_FOUR):
            raise SettingsError("bad-strength", f"there is no sparsity {self.sparsity!r}", f"give none or {TWO_OF_FOUR}")
        if self.sparsity == TWO_OF_FOUR and self.clusters:
            raise SettingsError("bad-strength", "2:4 sparsity and clusters exclude each other: a table has no place for zeros", "choose one of them")

    @classmethod
    def of(cls, settings: Mapping[str, Scalar]) -> "Cuts":
        """The cuts that a candidate's settings name, whatever else these hold: ``"75 %"`` is 75, ``low_rank`` may be ``none``.

        Raises:
            SettingsError: A setting out of its range (``bad-strength``).
        """
        told = {name: settings[name] for name in cls.__dataclass_fields__ if name in settings}
        return cls(**{name: value if name == "sparsity" else _number(name, value) for name, value in told.items()})  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """Digest of the settings."""
        return canonical.digest(self, "cuts")

    @property
    def changes(self) -> Mapping[str, Scalar]:
        """Settings that are not the default."""
        return {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name)) != getattr(NO_CUTS, name)}

    @property
    def needs_recovery(self) -> bool:
        """Whether training afterwards is worth its time: anything but a table of weights."""
        return replace(self, clusters=0) != NO_CUTS

    def describe(self) -> str:
        """In words: ``24 px, 2 blocks dropped, 50 % of the MLP``; empty for none."""
        words = {
            "input_size": f"{self.input_size} px",
            "dropped_blocks": f"{self.dropped_blocks} block{'s'[: self.dropped_blocks > 1]} dropped",
            "heads_kept": f"{self.heads_kept} % of the heads",
            "mlp_kept": f"{self.mlp_kept} % of the MLPs",
            "merged_tokens": f"{self.merged_tokens} % of the patches merged",
            "low_rank": f"low rank at {self.low_rank} % of the weights",
            "sparsity": f"{self.sparsity} sparsity",
            "clusters": f"{self.clusters} clusters",
        }
        return ", ".join(words[name] for name in self.changes)


NO_CUTS: Final = Cuts()


@final
@dataclass(frozen=True)
class CutModel:
    """A network after its cuts.

    Args:
        model: The cut copy, in eval mode, frozen; its size is that of the images it takes now.
        cuts: What was changed.
        facts: What a reader should know, plain JSON: blocks dropped by name, heads and hidden units kept, parameters before and after, seconds.
    """

    model: TorchModel
    cuts: Cuts
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of all that makes its answers, given the original's architecture: cuts, weights as they are now, size."""
        return canonical.digest([self.cuts.digest, digest(self.model.module.state_dict()), list(self.model.size)], "a cut network")

    def constraint(self, network: nn.Module) -> Callable[[], None]:
        """What is called after every training step of a copy of the network, so that zeros stay zero and tables stay tables.

        Args:
            network: A copy of ``model.network``, its weights as they were cut.
        """
        if self.cuts.clusters:
            return hold_clusters(network)
        return hold_zeros(network) if self.cuts.sparsity == TWO_OF_FOUR else _nothing

    def trained(self, model: TorchModel, facts: Mapping[str, Any]) -> "CutModel":
        """The same cuts with weights that were trained afterwards.

        Args:
            model: A trained copy.
            facts: Of the training.
        """
        return replace(self, model=model, facts={**self.facts, "recovery": dict(facts)})


def apply_cuts(model: TorchModel, cuts: Cuts, calibration: Tensor | None = None) -> CutModel:
    """Cut a copy of a model. The same input gives the same network.

    Args:
        model: Left unchanged.
        cuts: What is changed of it.
        calibration: Images float32 ``(n, 3, H, W)`` in [0, 1] of the model's size, 16 to 128 of them, none of which is evaluated; they decide which blocks,
            heads and hidden units go, and how the others make up for them. ``None`` takes random pixels, which decide worse.

    Raises:
        Unsupported: The network can't be cut this way; the message names it and the cut.
    """
    began = time.monotonic()
    original = sum(parameter.numel() for parameter in model.module.parameters())
    work = replace(model, module=copy.deepcopy(model.module))
    images = torch.rand((INVENTED, *model.size), generator=torch.Generator().manual_seed(0)) if calibration is None else calibration
    making = _Making(work, images)
    with torch.inference_mode(mode=False), torch.no_grad():
        making.resize(cuts.input_size)
        making.drop(cuts.dropped_blocks)
        making.narrow_attention(cuts.heads_kept)
        making.narrow_mlps(cuts.mlp_kept)
        making.factorize(cuts.low_rank)
        making.merge(cuts.merged_tokens)
        making.change_values(cuts)
    module = making.model.module.eval().requires_grad_(requires_grad=False)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    facts = {"calibration_images": 0 if calibration is None else len(calibration), "parameters": [original, parameters], **making.facts}
    facts["seconds"] = round(time.monotonic() - began, 3)
    return CutModel(replace(making.model, module=module), cuts, facts)


class _Making:
    """A copy on its way through the cuts."""

    def __init__(self, model: TorchModel, images: Tensor) -> None:
        self.model, self.images = model, images
        self.facts: dict[str, Any] = {}

    @property
    def network(self) -> nn.Module:
        return self.model.network

    def resize(self, side: int) -> None:
        if not side or side == self.model.size[1] == self.model.size[2]:
            return
        self.model = resized(self.model, side)
        self.images = resize_images(self.images, side)

    def drop(self, count: int) -> None:
        if not count:
            return
        blocks = self.model.view.blocks
        possible = droppable(self.model.module, self.network, blocks, self.images[:1])
        if count >= len(possible):
            message = f"{type(self.network).__name__} has {len(possible)} blocks that can be left out, of which one has to stay: {count} are too many"
            raise Unsupported("no-such-depth", message, f"drop {max(len(possible) - 1, 0)} or fewer")
        dropped = drop_blocks(self.model.module, self.network, possible, count, self.images)
        self.facts["dropped_blocks"] = dropped
        close_gaps(self.network)
        self.model = replace(self.model)  # without what was found out about the whole network

    def narrow_attention(self, percent: int) -> None:
        if percent == 100:
            return
        attentions: dict[str, Any] = {name: module for name, module in self.network.named_modules() if has_heads(module)}
        if not any(module.num_heads > 1 for module in attentions.values()):
            raise Unsupported("no-heads", f"{type(self.network).__name__} has no attention of timm's with several heads", "keep all heads")
        kept_of = {name: max(1, round(module.num_heads * percent / 100)) for name, module in attentions.items()}
        losses = []
        for name, moments in input_moments(self.model.module, {name: module.proj for name, module in attentions.items()}, self.images):
            kept = choose_groups(attentions[name].proj, moments, attentions[name].head_dim, kept_of[name])
            keep_heads(attentions[name], kept.groups)
            losses.append(kept.loss)
        self.facts["heads"] = {"kept": kept_of, "output_variance_lost": max(losses)}

    def narrow_mlps(self, percent: int) -> None:
        if percent == 100:
            return
        mlps = {name: (module, layers) for name, module in self.network.named_modules() if (layers := mlp_layers(module)) is not None}
        if not mlps:
            raise Unsupported("no-mlps", f"{type(self.network).__name__} has no MLP of timm's or torchvision's", "keep the width of its MLPs")
        kept_of = {name: hidden_kept(layers[0].out_features, percent) for name, (_, layers) in mlps.items()}
        losses = []
        for name, moments in input_moments(self.model.module, {name: layers[1] for name, (_, layers) in mlps.items()}, self.images):
            module, layers = mlps[name]
            kept = choose_groups(layers[1], moments, 1, kept_of[name])
            keep_hidden(module, kept.groups)
            losses.append(kept.loss)
        self.facts["mlps"] = {"kept": kept_of, "output_variance_lost": max(losses)}

    def factorize(self, percent: int) -> None:
        if percent == 100:
            return
        self.facts["ranks"] = factorize(self.model.module, self.network, percent, self.images)

    def merge(self, percent: int) -> None:
        if not percent:
            return
        require_plain_blocks(self.network)
        merge_tokens(self.network, percent)
        self.model = replace(self.model)

    def change_values(self, cuts: Cuts) -> None:
        if cuts.sparsity == TWO_OF_FOUR:
            self.model.module.network = TwoOfFourSparsity().compress(self.network).network
        if cuts.clusters:
            self.model.module.network = Clustering(cuts.clusters).compress(self.network).network


def hidden_kept(hidden: int, percent: int) -> int:
    """Hidden units that are kept of an MLP: the share, rounded to a multiple of 8, at least 8 where there are as many."""
    rounded = math.floor(hidden * percent / 100 / WIDTH_MULTIPLE + 0.5) * WIDTH_MULTIPLE
    return min(hidden, max(rounded, WIDTH_MULTIPLE))


def _number(name: str, value: Scalar) -> int:
    if value == "none":
        return int(getattr(NO_CUTS, name))
    digits = str(value).removesuffix("%").strip()
    if not digits.isdecimal():
        raise SettingsError("bad-strength", f"{name} is {value!r}, which is no number", "give a whole number, or percent")
    return int(digits)


def _nothing() -> None:
    return None
