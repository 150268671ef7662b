"""Low-rank adapters (LoRA) as PEFT saves them: what their folder says, and their product added to the weights they were trained on."""

import fnmatch
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, final

import torch
from pydantic import BaseModel, Field, TypeAdapter
from torch import Tensor

from efficient360.core.paths import is_file
from efficient360.core.reading import Reader, shown
from efficient360.errors import CheckpointError
from efficient360.models.sidecar import Number, read_json

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = ("adapter_model.safetensors", "adapter_model.bin")
MARK: Final = "base_model.model."
"""How the names in an adapter's file begin."""
_MERGE: Final = "merge it once with peft: model.merge_and_unload().save_pretrained(folder)"
_PARTS: Final = ("lora_A.weight", "lora_B.weight", "lora_magnitude_vector")
_READER: Final = Reader(CheckpointError, "adapter-invalid", _MERGE, "adapter's configuration")
_Rank = Annotated[int, Field(strict=True, ge=1, le=2**16)]


@final
class _Config(BaseModel):
    """The fields of ``adapter_config.json`` that decide over the merged weights."""

    peft_type: Annotated[str, Field(max_length=100)]
    base_model_name_or_path: Annotated[str, Field(max_length=4096)] | None = None
    r: _Rank = 8
    lora_alpha: Number = 8
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    rank_pattern: dict[str, _Rank] = {}
    alpha_pattern: dict[str, Number] = {}
    layer_replication: Any = None
    megatron_config: Any = None

    def scale(self, module: str) -> float:
        """What the product of a module's two matrices is multiplied with."""
        rank, alpha = (_of(module, pattern, usual) for pattern, usual in ((self.rank_pattern, self.r), (self.alpha_pattern, self.lora_alpha)))
        return float(alpha / (math.sqrt(rank) if self.use_rslora else rank))


_CONFIG: Final = TypeAdapter(_Config)


def _of(module: str, pattern: Mapping[str, float], usual: float) -> float:
    """The value of the first key that a module's name is, or ends in; keys are plain names or PEFT's ``^…`` for a whole name."""
    for key, value in pattern.items():
        plain = key.removeprefix("^").replace("\\.", ".")
        if module == plain or (not key.startswith("^") and fnmatch.fnmatchcase(module, f"*.{plain}")):
            return value
    return usual


def is_adapter(folder: Path) -> bool:
    """Whether a folder is an adapter's."""
    return is_file(folder / CONFIG) and any(is_file(folder / name) for name in WEIGHTS)


def base_of(folder: Path) -> str:
    """What an adapter says it was trained on: a path, or a name on the hub.

    Raises:
        CheckpointError: It says nothing, or is an adapter of another kind than LoRA.
    """
    base = _config(folder).base_model_name_or_path
    if not base:
        raise CheckpointError("adapter-base-missing", f"{folder / CONFIG} names no base model", "write base_model_name_or_path into it")
    return base


def scaled(folder: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's tensors with all that its configuration says multiplied in, so that their product is what is to be added.

    Raises:
        CheckpointError: It is no LoRA adapter.
    """
    config = _config(folder)
    made = {}
    for name, tensor in tensors.items():
        module = _module(name)
        if name.endswith("lora_B.weight"):
            made[name] = tensor.float() * config.scale(module)
        else:
            made[name] = tensor
    return made


def merge(base: Mapping[str, Tensor], adapter: Mapping[str, Tensor], rename: Callable[[str], str], origin: object) -> dict[str, Tensor]:
    """The weights of a network with an adapter merged into them, float32 where it is.

    Args:
        base: The network's tensors under its own names.
        adapter: Of :func:`scaled`.
        rename: From the name of a tensor as of the version that trained the adapter to the network's own.
        origin: The adapter, for messages.

    Raises:
        CheckpointError: It adapts layers that the network hasn't got, or of other shapes.
    """
    merged = dict(base)
    for name, tensor in adapter.items():
        if name.endswith(_PARTS):
            continue
        bare = name.removeprefix(MARK).replace(".base_layer.", ".").replace(".modules_to_save.default.", ".").replace(".original_module.", ".")
        merged[_own(bare, base, rename)] = tensor
    for name in (name for name in adapter if name.endswith("lora_A.weight")):
        front = name.removesuffix("lora_A.weight")
        own = _own(f"{_module(name)}.weight", base, rename)
        down, up = adapter[name], adapter.get(f"{front}lora_B.weight")
        weight = merged.get(own)
        if weight is None or up is None:
            message = f"{origin} adapts {_module(name)}, which {'it has no second matrix for' if up is None else 'the network has not got'}"
            raise CheckpointError("adapter-mismatch", message, f"give the base it was trained on, or {_MERGE}")
        merged[own] = _adapted(weight, down, up, adapter.get(f"{front}lora_magnitude_vector"), f"{origin}: {_module(name)}")
    return merged


def _adapted(weight: Tensor, down: Tensor, up: Tensor, magnitude: Tensor | None, place: str) -> Tensor:
    wide = weight.float()
    try:
        # The second of a convolution's two is one of 1 x 1, the second of a linear layer's a matrix.
        change = torch.einsum("or,r...->o...", up.float().flatten(1), down.float())
        added = wide + (change if change.shape == wide.shape else change.T.reshape(wide.shape))
    except RuntimeError as error:
        raise CheckpointError("adapter-mismatch", f"{place} has other shapes than the network's layer", "give the base it was trained on") from error
    if magnitude is None:
        return added
    norm = torch.linalg.norm(added.flatten(1), dim=1)
    scaled_up: Tensor = added * (magnitude.float().flatten() / norm).view(-1, *[1] * (wide.ndim - 1))
    return scaled_up


def _own(name: str, base: Mapping[str, Tensor], rename: Callable[[str], str]) -> str:
    return name if name in base else rename(name)


def _module(name: str) -> str:
    return re.sub(r"\.lora_(A|B|magnitude_vector)(\.weight)?$", "", name.removeprefix(MARK))


def _config(folder: Path) -> _Config:
    path = folder / CONFIG
    config = _READER.validate(_CONFIG, read_json(path), path)
    if config.peft_type != "LORA" or config.layer_replication or config.megatron_config:
        raise CheckpointError("adapter-kind", f"{path} is an adapter of kind {shown(config.peft_type)}, which is not merged here", _MERGE)
    if config.fan_in_fan_out:
        raise CheckpointError("adapter-kind", f"{path} adapts layers that keep their weights transposed (fan_in_fan_out)", _MERGE)
    return config
