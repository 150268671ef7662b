"""Which file of a folder holds the weights, as trainers lay their folders out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.core.paths import is_file, is_folder
from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError
from efficient360.models.distributed_checkpoint import METADATA
from efficient360.models.weights_file import SUFFIXES

_LATEST: Final = "latest"
"""In which DeepSpeed names the folder of its newest checkpoint."""
_DEEPSPEED: Final = re.compile(r"mp_rank_\d+_model_states\.pt")
_ZERO3: Final = re.compile(r"zero_pp_rank_\d+_mp_rank_\d+_model_states\.pt")
_NO_WEIGHTS: Final = re.compile(r"(optimizer\w*|scheduler|scaler|rng_state\w*|random_states\w*|training_args|sampler\w*|.*optim_states)\.\w+")
_BEST: Final = re.compile(r"(.*[^a-z])?best([^a-z].*)?")
_DEEPER: Final = ("checkpoints", "checkpoint", "weights")
"""Folders in which trainers keep the weights of a run."""
_TAGS: Final = Reader(CheckpointError, "checkpoint-unreadable", "give the path of the file", limit=1000)


@final
@dataclass(frozen=True)
class Found:
    """The weights of a folder.

    Args:
        path: Their file; of a distributed checkpoint its ``.metadata``.
        reason: Why this one, where there are several; else ``""``.
    """

    path: Path
    reason: str = ""


def weights_in(folder: Path, preferred: Sequence[str]) -> Found:
    """The weights in a folder.

    Args:
        folder: The folder.
        preferred: Names that are taken without looking further, the first that is there.

    Raises:
        CheckpointError: It can't be read, holds no weights, several files of which none is called the best, or shards that belong together.
    """
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise CheckpointError("checkpoint-unreadable", f"the folder {folder} can't be read: {error.strerror}", "check its permissions") from error
    if chosen := next((folder / name for name in (*preferred, METADATA) if is_file(folder / name)), None):
        return Found(chosen)
    if any(p.name.endswith(".index.json") for p in inside):
        raise CheckpointError(
            "sharded-weights", f"{folder} holds weights in several shards", "save them in one file: save_pretrained(folder, max_shard_size='100GB')"
        )
    if is_file(folder / _LATEST):
        return _deepspeed(folder, folder / _TAGS.read_text(folder / _LATEST).strip())
    if any(_DEEPSPEED.fullmatch(p.name) or _ZERO3.fullmatch(p.name) for p in inside):
        return _deepspeed(folder, folder)
    files = [p for p in inside if p.suffix.lower() in SUFFIXES and is_file(p) and not _NO_WEIGHTS.fullmatch(p.name)]
    if len(files) == 1:
        return Found(files[0])
    if len(files) > 1:
        return _best(folder, files)
    deeper = [folder / name for name in _DEEPER if is_folder(folder / name)]
    if len(deeper) == 1:
        return weights_in(deeper[0], preferred)
    raise CheckpointError(
        "no-weights-in-folder",
        f"{folder} holds no weights file ({', '.join(SUFFIXES)})",
        "give the folder that holds model.safetensors, or the file itself; data are named by --dataset",
    )


def _best(folder: Path, files: Sequence[Path]) -> Found:
    best = [p for p in files if _BEST.fullmatch(p.name.lower())]
    if len(best) == 1:
        others = [p.name for p in files if p != best[0]]
        return Found(
            best[0], f"{best[0].name}, called the best of {len(files)} weights files; beside it {', '.join(others[:3])}{', …' if len(others) > 3 else ''}"
        )
    names = ", ".join(p.name for p in files[:5])
    raise CheckpointError(
        "several-weights-in-folder",
        f"{folder} holds {len(files)} weights files: {names}{', …' if len(files) > 5 else ''}",
        f"give the path of one of them, such as {files[-1]}",
    )


def _deepspeed(folder: Path, place: Path) -> Found:
    inside = sorted(place.iterdir()) if is_folder(place) and place.resolve().is_relative_to(folder.resolve()) else []
    whole = [p for p in inside if _DEEPSPEED.fullmatch(p.name)]
    if len(whole) == 1:
        return Found(whole[0], f"{whole[0].name} of DeepSpeed's {place.name}")
    if any(_ZERO3.fullmatch(p.name) for p in inside) or len(whole) > 1:
        how = "in a part for every process" if not whole else f"in {len(whole)} parallel parts"
        hint = f"join them with DeepSpeed's own script: python {folder}/zero_to_fp32.py {folder} model.bin"
        raise CheckpointError("sharded-weights", f"{folder} holds DeepSpeed's weights {how}", hint)
    raise CheckpointError("no-weights-in-folder", f"{place} holds none of DeepSpeed's weights", "give the path of the file")
