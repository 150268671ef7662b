"""The state of a training in a file, so that it goes on after a kill: a safetensors file, written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, final

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from efficient360.storage.outcomes import write_atomically
from efficient360.storage.writing import into

KEY: Final = "efficient360.recovery"
_GROUPS: Final = ("state", "best", "average", "square")


@final
@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        identity: Digest of what is trained and how.
        step: Steps done.
        steps: Their total.
        first: Divergence on the held-back images before the training.
        best_loss: The least since.
        best_step: After how many steps.
        agreement: With the teacher on the held-back images, before and at best.
        state: State dict.
        best: State dict of the best.
        averages: AdamW's running mean of the gradient and of its square, by name of the parameter.
    """

    identity: str
    step: int
    steps: int
    first: float
    best_loss: float
    best_step: float
    agreement: tuple[float, ...]
    state: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    averages: Mapping[str, tuple[Tensor, Tensor]]


@final
class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    identity: str
    step: Annotated[int, Field(ge=0)]
    steps: Annotated[int, Field(ge=1)]
    first: float
    best_loss: float
    best_step: float
    agreement: Annotated[list[float], Field(min_length=2, max_length=2)]


_HEADER: Final = TypeAdapter(_Header)


def save_progress(path: Path, progress: Progress) -> None:
    """Write it, atomically.

    Raises:
        RunError: The system refuses it (``unwritable-run``).
    """
    header = {name: getattr(progress, name) for name in _Header.model_fields} | {"agreement": list(progress.agreement)}
    averages = {name: pair[0] for name, pair in progress.averages.items()}
    squares = {name: pair[1] for name, pair in progress.averages.items()}
    groups = zip(_GROUPS, (progress.state, progress.best, averages, squares), strict=True)
    tensors = {f"{group}:{name}": tensor.detach().cpu().clone().contiguous() for group, named in groups for name, tensor in named.items()}
    with into(path):
        write_atomically(path, safetensors.torch.save(tensors, {KEY: json.dumps(header)}))


def load_progress(path: Path, identity: str) -> Progress | None:
    """What a file holds; ``None`` where there is none, it is damaged, or it is of another training."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = _HEADER.validate_json((file.metadata() or {}).get(KEY, ""))
            parts: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
            for key in list(file.keys()):
                group, _, name = key.partition(":")
                parts[group][name] = file.get_tensor(key)
    except (OSError, ValidationError, KeyError, safetensors.SafetensorError):
        return None
    if header.identity != identity:
        return None
    averages = {name: (average, parts["square"][name]) for name, average in parts["average"].items() if name in parts["square"]}
    return Progress(
        header.identity,
        header.step,
        header.steps,
        header.first,
        header.best_loss,
        header.best_step,
        tuple(header.agreement),
        parts["state"],
        parts["best"],
        averages,
    )
