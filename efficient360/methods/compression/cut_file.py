"""A cut network as a checkpoint: a weights file and its sidecar, which every command then takes like any other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from efficient360.errors import CheckpointError, Unsupported
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compress import require_writable, sidecar_of, write_file
from efficient360.methods.compression.compressor import safetensors_bytes
from efficient360.methods.compression.cuts import TWO_OF_FOUR, CutModel
from efficient360.methods.compression.pruning import TwoOfFourSparsity
from efficient360.models.architectures import skeleton
from efficient360.models.checkpoint import Checkpoint, Origin
from efficient360.models.compressed_file import stored_tensors
from efficient360.models.structure.slicing import mlp_layers
from efficient360.models.structure.structure import ARGUMENT, difference


def write_cut(cut: CutModel, checkpoint: Checkpoint, path: Path, name: str) -> Path:
    """Write a cut network as ``path`` and ``path`` with the ending ``.json``, each atomically.

    The weights of a clustered or 2:4 sparse network are stored in their code.

    Args:
        cut: The network, trained afterwards or not.
        checkpoint: What it was cut from.
        path: A ``.safetensors`` file.
        name: Display name.

    Returns:
        ``path``.

    Raises:
        Unsupported: No weights file can hold it (``no-weights-file``).
        SettingsError: The file can't be written.
    """
    require_writable(path, checkpoint)
    arguments = arguments_of(cut, checkpoint)
    facts = {"cuts": dict(cut.cuts.changes), "facts": dict(cut.facts)}
    sidecar = sidecar_of(checkpoint, name, facts) | {"model_args": arguments, "input_size": list(cut.model.size)}
    write_file(path.with_suffix(".json"), json.dumps(sidecar, indent=2, default=list).encode())
    write_file(path, file_of(cut))
    return path


def file_of(cut: CutModel) -> bytes:
    """The safetensors file that holds a cut network's weights."""
    network = cut.model.network
    if cut.cuts.clusters:
        return Clustering(cut.cuts.clusters).compress(network).file
    if cut.cuts.sparsity == TWO_OF_FOUR:
        return TwoOfFourSparsity().compress(network).file
    return safetensors_bytes(stored_tensors(network), {})


def arguments_of(cut: CutModel, checkpoint: Checkpoint) -> dict[str, Any]:
    """The arguments with which the checkpoint's architecture is built as a cut network: the library's own where they can say it, else ``structure``.

    Raises:
        Unsupported: Nothing builds it (``no-weights-file``).
    """
    network = cut.model.network
    if checkpoint.origin in (Origin.MEMORY, Origin.CODE):
        raise Unsupported("no-weights-file", f"{checkpoint.name} is a network that a program made, which no file can build again", "save its weights yourself")
    arguments = {key: value for key, value in checkpoint.arguments.items() if key != ARGUMENT} | _own_arguments(network, cut.model.size[1])
    try:
        structure = difference(network, skeleton(checkpoint.architecture, arguments))
        if structure:
            arguments[ARGUMENT] = structure
        built = skeleton(checkpoint.architecture, arguments)
    except CheckpointError as error:
        raise _unsaved(checkpoint, error.message) from error
    if _shapes(built) != _shapes(network):
        raise _unsaved(checkpoint, "it differs in more than arguments can say")
    return arguments


def _own_arguments(network: nn.Module, side: int) -> dict[str, Any]:
    """Arguments of the libraries' own that may have changed."""
    if not isinstance(network, VisionTransformer):
        if hasattr(network, "set_input_size"):
            return {"img_size": side}
        return {"image_size": side} if hasattr(network, "image_size") and hasattr(network, "seq_length") else {}
    blocks: Any = network.blocks
    own: dict[str, Any] = {"img_size": side, "depth": len(list(getattr(blocks, "blocks", blocks)))}
    layers = [found for module in network.modules() if (found := mlp_layers(module)) is not None]
    widths = {found[0].out_features for found in layers}
    if len(widths) == 1:
        ratio = widths.pop() / network.embed_dim
        own |= {"mlp_ratio": ratio} if ratio != 4 else {}
    return own


def _shapes(network: nn.Module) -> Mapping[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _unsaved(checkpoint: Checkpoint, why: str) -> Unsupported:
    message = f"no weights file can hold the cut {checkpoint.name}, since {checkpoint.architecture} can't be built that way: {why}"
    return Unsupported("no-weights-file", message, "deploy its artefact")
