"""The argument ``structure`` of any architecture: how a network that was cut differs in shape from what its library builds.

It stands among a checkpoint's ``model_args`` beside the library's own arguments, and is applied to the network before weights are loaded.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, final

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import nn

from efficient360.errors import CheckpointError, Unsupported
from efficient360.models.structure.factored_linear import LINEAR, FactoredLinear
from efficient360.models.structure.merging_blocks import MergingBlocks, require_plain_blocks
from efficient360.models.structure.slicing import PassThrough, has_heads, keep_heads, keep_hidden, mlp_layers

ARGUMENT: Final = "structure"

_Count = Annotated[int, Field(strict=True, ge=1, le=2**20)]


@final
class Structure(BaseModel):
    """What differs. Names are those of modules in the network as its library builds it.

    Args:
        dropped: Blocks that are left out.
        widths: Hidden units of MLPs.
        heads: Heads of attentions.
        ranks: Ranks of linear layers that are stored as two factors.
        merged: Share of the patches that token merging merges away, in percent; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dropped: tuple[str, ...] = ()
    widths: Mapping[str, _Count] = {}
    heads: Mapping[str, _Count] = {}
    ranks: Mapping[str, _Count] = {}
    merged: Annotated[int, Field(strict=True, ge=0, le=95)] = 0

    def to_json(self) -> dict[str, Any]:
        """It as plain data, without what does not differ."""
        return self.model_dump(exclude_defaults=True, mode="json")

    def impose(self, network: nn.Module) -> None:
        """Give a network these shapes; changed in place. Which units and values are kept is arbitrary: weights are loaded afterwards.

        Raises:
            ValueError: The network lacks a part, or it is smaller or of another kind.
            Unsupported: Token merging is not implemented for it.
        """
        for name in self.dropped:
            _part(network, name)
            network.set_submodule(name, PassThrough())
        for name, count in self.heads.items():
            attention: Any = _part(network, name)
            if not has_heads(attention) or count > attention.num_heads:
                raise ValueError(f"{name} is no attention with {count} heads or more")
            keep_heads(attention, range(count))
        for name, count in self.widths.items():
            layers = mlp_layers(mlp := _part(network, name))
            if layers is None or count > layers[0].out_features:
                raise ValueError(f"{name} is no MLP with {count} hidden units or more")
            keep_hidden(mlp, range(count))
        for name, rank in self.ranks.items():
            layer = _part(network, name)
            if type(layer) not in LINEAR or not isinstance(layer, nn.Linear) or rank > min(layer.weight.shape):
                raise ValueError(f"{name} is no linear layer of rank {rank} or more")
            network.set_submodule(name, _factored(layer, rank))
        if self.merged:
            merge_tokens(network, self.merged)


def merge_tokens(network: nn.Module, percent: int) -> None:
    """Let a network merge its tokens; changed in place.

    Args:
        network: timm's plain vision transformer.
        percent: Share of the patches merged away by the last block.

    Raises:
        Unsupported: It is another network.
    """
    require_plain_blocks(network)
    vit: Any = network
    vit.blocks = MergingBlocks(vit.blocks, vit.num_prefix_tokens, percent)


def split_structure(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], Structure]:
    """An architecture's arguments without ``structure``, and what that says.

    Raises:
        CheckpointError: It says something else (``bad-structure``).
    """
    given = {key: value for key, value in arguments.items() if key != ARGUMENT}
    try:
        return given, _STRUCTURE.validate_python(arguments.get(ARGUMENT, {}))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or ARGUMENT
        raise CheckpointError("bad-structure", f"the argument structure is wrong at {place}: {first['msg']}", "write the file again") from error


def impose(structure: Structure, network: nn.Module, architecture: str) -> None:
    """As :meth:`Structure.impose`, for a file from outside.

    Raises:
        CheckpointError: It does not fit the architecture (``bad-structure``).
    """
    try:
        structure.impose(network)
    except (ValueError, Unsupported) as error:
        raise CheckpointError("bad-structure", f"the argument structure does not fit {architecture}: {error}", "write the file again") from error


_STRUCTURE: Final = TypeAdapter(Structure)


def _part(network: nn.Module, name: str) -> nn.Module:
    try:
        part = network.get_submodule(name) if name else None
    except AttributeError:
        part = None
    if part is None:
        raise ValueError(f"there is no {name!r}")
    return part


def _factored(layer: nn.Linear, rank: int) -> FactoredLinear:
    weight = layer.weight
    return FactoredLinear(torch.zeros(rank, layer.in_features).to(weight), torch.zeros(layer.out_features, rank).to(weight), layer.bias)


def difference(network: nn.Module, built: nn.Module) -> dict[str, Any]:
    """What :class:`Structure` says of a network beside the one that its library builds, as plain data; empty where nothing differs.

    Args:
        network: What was cut, of the same depth and modules.
        built: What the library builds; it may be without data.
    """
    own: Any = getattr(network, "blocks", None)
    merged = own.percent if isinstance(own, MergingBlocks) else 0
    named = {_unmerged(name) if merged else name: module for name, module in network.named_modules()}
    library: dict[str, Any] = dict(built.named_modules())
    same = {name: (module, library[name]) for name, module in named.items() if name in library}
    widths = {name: (mlp_layers(ours), mlp_layers(theirs)) for name, (ours, theirs) in same.items()}
    structure = Structure(
        dropped=tuple(name for name, (ours, theirs) in same.items() if isinstance(ours, PassThrough) and not isinstance(theirs, PassThrough)),
        widths=_changed({name: (_hidden(ours, named, name), theirs[0].out_features) for name, (ours, theirs) in widths.items() if theirs is not None}),
        heads=_changed({name: (_heads(ours), theirs.num_heads) for name, (ours, theirs) in same.items() if has_heads(theirs)}),
        ranks={name: ours.rank for name, (ours, theirs) in same.items() if isinstance(ours, FactoredLinear)},
        merged=merged,
    )
    return structure.to_json()


def _changed(counts: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    return {name: ours for name, (ours, theirs) in counts.items() if ours and ours != theirs}


def _hidden(layers: Any, named: Mapping[str, nn.Module], name: str) -> int:
    """Hidden units of an MLP, also of one of which a layer was factored; 0 where it was dropped."""
    if layers is not None:
        return int(layers[0].out_features)
    first: Any = next((named[f"{name}.{part}"] for part in ("fc1", "0") if f"{name}.{part}" in named), None)
    return int(first.out_features) if isinstance(first, nn.Linear | FactoredLinear) else 0


def _heads(attention: Any) -> int:
    return int(getattr(attention, "num_heads", 0))


def _unmerged(name: str) -> str:
    """The name that a module had before its blocks merged tokens."""
    return name.replace("blocks.blocks.", "blocks.", 1) if name.startswith("blocks.blocks.") else name
