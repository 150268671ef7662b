"""Shadow models' outputs on the attacked examples: models trained here on random halves, or the user's own checkpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.arrays import Floats
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Examples
from efficient360.methods.privacy.member_pairs import MemberPairs
from efficient360.methods.privacy.shadow_training import Mask, ShadowRecipe, build_shadow, random_halves, shadow_seed, train_shadow
from efficient360.methods.privacy.threshold_attacks import LOSS, MARGIN, SCALED, attack_signals
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import Model, TorchModel
from efficient360.models.references import resolve
from efficient360.storage.pixel_store import stored
from efficient360.storage.row_log import RowLog

BATCH = 64
"""Images per forward pass: fixed, so that outputs do not depend on the run's batch size."""


@final
@dataclass(frozen=True)
class ShadowOutputs:
    """Shadow models' outputs on the attacked examples.

    Args:
        scaled_confidence: Logit-scaled confidences of the label, float64 ``(S, N)``.
        loss: Cross-entropies of the label, float64 ``(S, N)``.
        correct: Whether the label is the top-1 prediction, bool ``(S, N)``.
        is_member: Whether a model was trained on an example, bool ``(S, N)``.
    """

    scaled_confidence: Floats
    loss: Floats
    correct: Mask
    is_member: Mask

    def __len__(self) -> int:
        """Number of models, ``S``."""
        return len(self.is_member)

    @property
    def test_accuracy(self) -> float:
        """Accuracy on examples that a model was not trained on."""
        return float(self.correct[~self.is_member].mean())


def equalised(available: Mask, seed: int) -> Mask:
    """The same number of models for every example: as many as the example with the fewest has, chosen at random.

    If members had fewer models than non-members, their means would be noisier, and the noise alone would separate them.

    Args:
        available: Models that may be used for an example, bool ``(S, N)``.
        seed: Of the choice.

    Returns:
        bool ``(S, N)`` with equal column sums; all false where some example has no model at all.
    """
    fewest = int(available.sum(axis=0).min())
    order = np.random.default_rng(seed).random(available.shape)
    order[~available] = np.inf
    rank = order.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return available & (rank < fewest)


def require_models(available: Mask, which: str) -> None:
    """Check that every example has a model.

    Raises:
        Unsupported: Some example has none.
    """
    missing = int((~available.any(axis=0)).sum())
    if missing:
        raise Unsupported(
            "no-reference-model",
            f"{missing} of {available.shape[1]} images have no shadow model {which}",
            "give more shadow models, trained on random halves of images from both splits",
        )


def mean_over_models(values: Floats, selected: Mask) -> Floats:
    """Mean of ``(S, N)`` over the selected models of each example, ``(N,)``."""
    mean: Floats = np.where(selected, values, 0.0).sum(axis=0) / selected.sum(axis=0)
    return mean


def train_shadow_models(pairs: MemberPairs, extra: Examples | None, shadows: int, recipe: ShadowRecipe, model: Model, context: Context) -> ShadowOutputs:
    """Train shadow models on random halves of the attacked and the extra images; those that an earlier run finished are read.

    Args:
        pairs: The attacked examples.
        extra: Further training images that shadow models may be trained on, ``None`` for none.
        shadows: Number of shadow models, even.
        recipe: Architecture and training.
        model: The attacked one; its classes and its device are taken.
        context: Of the evaluation.

    Raises:
        CheckpointError: The shadow's architecture can't be built.
        OutOfTime: From the deadline; finished shadows are kept.
    """
    parts = [pairs.members, pairs.nonmembers, *([] if extra is None else [extra])]
    path = context.scratch / "shadow-pixels.u8"
    pixels = stored(path, parts, model.input_size, context.batch_size, context.deadline, context.progress)
    labels = np.concatenate([part.labels for part in parts])
    is_member = random_halves(len(labels), shadows, context.seed)
    attacked = np.arange(2 * len(pairs))
    device = model.device if isinstance(model, TorchModel) else "cpu"

    def outputs(shadow: int) -> NDArray[Any]:
        """Train a shadow model on its half and run it on the attacked images."""
        seed = shadow_seed(context.seed, shadow)
        module = build_shadow(recipe, context.checkpoint, model.num_classes, seed).to(device)

        def on_progress(done: int, steps: int) -> None:
            context.progress(shadow * steps + done, shadows * steps)

        train_shadow(module, pixels, labels, np.flatnonzero(is_member[shadow]), recipe, seed, context.deadline, on_progress)
        with torch.inference_mode():
            logits = torch.cat([module(pixels.images(rows).to(device)).cpu() for rows in np.split(attacked, range(BATCH, len(attacked), BATCH))])
        return _row(logits, torch.from_numpy(labels[attacked]))

    return _shadow_outputs(_computed(context, len(attacked), shadows, outputs), is_member[:, attacked])


def run_shadow_checkpoints(pairs: MemberPairs, checkpoints: Mapping[str, str], model: Model, context: Context) -> ShadowOutputs:
    """Load the user's shadow checkpoints and run them on the attacked examples.

    Args:
        pairs: The attacked examples.
        checkpoints: Reference of each checkpoint to the file that lists the ids it was trained on, one per line.
        model: The attacked one.
        context: Of the evaluation.

    Raises:
        SettingsError: A file that can't be read or lists none of the examples, or a checkpoint of other classes or another input size.
        CheckpointError: A checkpoint that can't be loaded.
        OutOfTime: From the deadline; finished checkpoints are kept.
    """
    is_member = np.stack([read_membership(pairs.ids, Path(file)) for file in checkpoints.values()])
    references = list(checkpoints)
    parts = (pairs.members, pairs.nonmembers)

    def outputs(shadow: int) -> NDArray[Any]:
        """Load a shadow checkpoint and run it on the attacked images."""
        loaded = load_model(resolve(CheckpointSpec(references[shadow])), model.device if isinstance(model, TorchModel) else "cpu", _kept_outputs(model))
        if (loaded.num_classes, loaded.input_size) != (model.num_classes, model.input_size):
            sizes = f"{loaded.num_classes} classes and takes {loaded.input_size}, the model {model.num_classes} and {model.input_size}"
            raise SettingsError("bad-shadow", f"the shadow checkpoint {references[shadow]} has {sizes}", "give shadows with the same classes and image size")
        logits: list[Tensor] = []
        for batch in (batch for part in parts for batch in part.batches(BATCH)):
            context.deadline.check()
            with torch.inference_mode():
                logits.append(loaded(batch.images).cpu())
            context.progress(shadow * len(is_member[0]) + sum(map(len, logits)), is_member.size)
        return _row(torch.cat(logits), torch.from_numpy(pairs.labels))

    return _shadow_outputs(_computed(context, is_member.shape[1], len(is_member), outputs), is_member)


_READER: Final = Reader(SettingsError, "no-members", "give a text file with one example id per line", "list of members", 1024 * MEBIBYTE)


def read_membership(ids: tuple[str, ...], file: Path) -> Mask:
    """Which examples a file of ids lists, bool ``(N,)``.

    Raises:
        SettingsError: The file can't be read, or lists none of the examples.
    """
    listed = {line.strip() for line in _READER.read_text(file).splitlines()}
    is_member = np.array([name in listed for name in ids])
    if not is_member.any():
        message = f"{file} lists none of the attacked examples; their ids look like {ids[0]}"
        raise SettingsError("unknown-members", message, "write ids as in examples.parquet, one per line")
    return is_member


def _computed(context: Context, examples: int, shadows: int, outputs: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
    """Outputs of every shadow model, ``(S, 3, N)``, continuing where an interrupted run stopped."""
    log = RowLog(context.scratch / "shadows.f64", 3 * examples, "float64")
    log.truncate(len(log))
    for shadow in range(len(log), shadows):
        context.deadline.check()
        log.append(outputs(shadow)[None])
    return log.read(0, shadows).reshape(shadows, 3, examples)


def _row(logits: Tensor, labels: Tensor) -> NDArray[Any]:
    signals = attack_signals(logits, labels).numpy()
    return np.concatenate([signals[:, SCALED], signals[:, LOSS], signals[:, MARGIN] > 0])


def _shadow_outputs(rows: NDArray[Any], is_member: Mask) -> ShadowOutputs:
    return ShadowOutputs(rows[:, 0], rows[:, 1], rows[:, 2] > 0, is_member)


def _kept_outputs(model: Model) -> tuple[int, ...] | None:
    kept = model.module.keep if isinstance(model, TorchModel) else None
    return None if kept is None else tuple(int(i) for i in kept)
