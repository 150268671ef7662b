"""The output folder of ``transformers``' Trainer: which of its checkpoints is evaluated, and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, final

from pydantic import BaseModel, Field, TypeAdapter

from efficient360.core.paths import entries, is_file, is_folder
from efficient360.core.reading import Reader
from efficient360.errors import CheckpointError
from efficient360.models.sidecar import Number, read_json

STATE: Final = "trainer_state.json"
_NAME: Final = re.compile(r"checkpoint-(\d{1,12})")
_READER: Final = Reader(CheckpointError, "trainer-state-invalid", "give the path of one of its checkpoints", "trainer's state")


@final
class _State(BaseModel):
    best_model_checkpoint: Annotated[str, Field(max_length=4096)] | None = None
    best_metric: Number | None = None


_STATE: Final = TypeAdapter(_State)


@final
@dataclass(frozen=True)
class Chosen:
    """One of a trainer's checkpoints.

    Args:
        folder: Its folder.
        told: Which it is and why, for the report.
    """

    folder: Path
    told: str


def choose_checkpoint(folder: Path, weights: Sequence[str]) -> Chosen | None:
    """The checkpoint in a trainer's output folder: the best where its state says which is, else the newest; ``None`` where there is none.

    Args:
        folder: The output folder; one with weights of its own is no choice.
        weights: The usual names of weights.

    Raises:
        CheckpointError: The state of the newest is malformed.
    """
    if any(is_file(folder / name) for name in weights):
        return None
    steps = {int(match[1]): path for path in entries(folder) if is_folder(path) and (match := _NAME.fullmatch(path.name))}
    if not steps:
        return None
    newest = steps[max(steps)]
    among = f"{len(steps)} checkpoint{'' if len(steps) == 1 else 's'}"
    if is_file(newest / STATE):
        state = _READER.validate(_STATE, read_json(newest / STATE), newest / STATE)
        # Its path is of the machine that trained: only the name counts here.
        name = (state.best_model_checkpoint or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
        best = next((path for path in steps.values() if path.name == name), None)
        if best is not None:
            metric = "" if state.best_metric is None else f" ({state.best_metric:g})"
            return Chosen(best, f"{best.name}, the best of {among} by {STATE}{metric}")
    return Chosen(newest, f"{newest.name}, the newest of {among}")
