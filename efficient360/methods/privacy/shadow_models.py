"""Reference models' answers on the attacked examples: of shadows trained here, or of a list of the user's own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.evaluator import Context, Examples
from efficient360.methods.privacy.references import Mask, References
from efficient360.methods.privacy.shadow_training import Recipe, halves, seed_of, trained, untrained
from efficient360.methods.privacy.sides import Sides
from efficient360.methods.privacy.signals import LOSS, MARGIN, SCALED, signals
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import Model, TorchModel
from efficient360.models.references import resolve
from efficient360.storage.pixel_store import stored
from efficient360.storage.row_log import RowLog

ROWS = 64
"""Images a pass: fixed, so that answers don't depend on the run's batch size."""


def from_training(sides: Sides, spare: Examples | None, shadows: int, recipe: Recipe, model: Model, context: Context) -> References:
    """Train shadow models on random halves of the attacked and the spare images; those that an earlier run finished are read.

    Args:
        sides: The attacked examples.
        spare: Further training images that shadows may see, ``None`` for none.
        shadows: How many, even.
        recipe: How.
        model: The attacked one; its classes and its device are taken.
        context: Of the evaluation.

    Raises:
        CheckpointError: The shadow's architecture can't be built.
        OutOfTime: From the deadline; finished shadows are kept.
    """
    parts = [sides.members, sides.others, *([] if spare is None else [spare])]
    path = context.scratch / "shadow-pixels.u8"
    pixels = stored(path, parts, model.input_size, context.batch_size, context.deadline, context.progress)
    labels = np.concatenate([part.labels for part in parts])
    inside = halves(len(labels), shadows, context.seed)
    attacked = np.arange(2 * len(sides))
    device = model.device if isinstance(model, TorchModel) else "cpu"

    def answer(shadow: int) -> NDArray[Any]:
        """Train a shadow on its half and ask it about the attacked images."""
        seed = seed_of(context.seed, shadow)
        module = untrained(recipe, context.checkpoint, model.num_classes, seed).to(device)
        told: Callable[[int, int], None] = lambda done, steps: context.progress(shadow * steps + done, shadows * steps)  # noqa: E731
        trained(module, pixels, labels, np.flatnonzero(inside[shadow]), recipe, seed, context.deadline, told)
        with torch.inference_mode():
            logits = torch.cat([module(pixels.images(rows).to(device)).cpu() for rows in np.split(attacked, range(ROWS, len(attacked), ROWS))])
        return _row(logits, torch.from_numpy(labels[attacked]))

    return _references(_kept(context, len(attacked), shadows, answer), inside[:, attacked])


def from_list(sides: Sides, checkpoints: Mapping[str, str], model: Model, context: Context) -> References:
    """Load the user's shadow checkpoints and run them on the attacked examples.

    Args:
        sides: The attacked examples.
        checkpoints: Reference of each checkpoint to the file that lists the ids it was trained on, one a line.
        model: The attacked one.
        context: Of the evaluation.

    Raises:
        SettingsError: A file that can't be read or names none of the examples, or a checkpoint of other classes or another input size.
        CheckpointError: A checkpoint that can't be loaded.
        OutOfTime: From the deadline; finished checkpoints are kept.
    """
    inside = np.stack([member_mask(sides.ids, Path(file)) for file in checkpoints.values()])
    references = list(checkpoints)
    parts = (sides.members, sides.others)

    def answer(shadow: int) -> NDArray[Any]:
        """Load a shadow and ask it about the attacked images."""
        other = load_model(resolve(CheckpointSpec(references[shadow])), model.device if isinstance(model, TorchModel) else "cpu", _kept_outputs(model))
        if (other.num_classes, other.input_size) != (model.num_classes, model.input_size):
            sizes = f"{other.num_classes} classes and takes {other.input_size}, the model {model.num_classes} and {model.input_size}"
            raise SettingsError("bad-shadow", f"the shadow checkpoint {references[shadow]} has {sizes}", "give shadows with the same classes and image size")
        found: list[Tensor] = []
        for batch in (batch for part in parts for batch in part.batches(ROWS)):
            context.deadline.check()
            with torch.inference_mode():
                found.append(other(batch.images).cpu())
            context.progress(shadow * len(inside[0]) + sum(map(len, found)), inside.size)
        return _row(torch.cat(found), torch.from_numpy(sides.labels))

    return _references(_kept(context, inside.shape[1], len(inside), answer), inside)


def member_mask(ids: tuple[str, ...], file: Path) -> Mask:
    """Which examples a file of ids names, bool ``(N,)``.

    Raises:
        SettingsError: The file can't be read, or names none of the examples.
    """
    try:
        members = {line.strip() for line in file.read_text(encoding="utf-8").splitlines()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("no-members", f"the member ids in {file} can't be read: {error}", "give a text file with one example id a line") from error
    inside = np.array([name in members for name in ids])
    if not inside.any():
        message = f"{file} names none of the attacked examples; their ids look like {ids[0]}"
        raise SettingsError("unknown-members", message, "write ids as examples.parquet has them, one a line")
    return inside


def _kept(context: Context, examples: int, shadows: int, answer: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
    log = RowLog(context.scratch / "shadows.f64", 3 * examples, "float64")
    log.truncate(len(log))
    for shadow in range(len(log), shadows):
        context.deadline.check()
        log.append(answer(shadow)[None])
    return log.read(0, shadows).reshape(shadows, 3, examples)


def _row(logits: Tensor, labels: Tensor) -> NDArray[Any]:
    found = signals(logits, labels).numpy()
    return np.concatenate([found[:, SCALED], found[:, LOSS], found[:, MARGIN] > 0])


def _references(rows: NDArray[Any], inside: Mask) -> References:
    return References(rows[:, 0], rows[:, 1], rows[:, 2] > 0, inside)


def _kept_outputs(model: Model) -> tuple[int, ...] | None:
    kept = model.module.keep if isinstance(model, TorchModel) else None
    return None if kept is None else tuple(int(i) for i in kept)
