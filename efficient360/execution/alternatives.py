"""What nobody named, tried the other way on a few hundred images: another normalisation, the other weights of the file. What is evaluated stays."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.findings import Finding
from efficient360.datasets.examples import ExampleSet
from efficient360.evaluator import Deadline
from efficient360.execution.prediction_findings import Bools, far_better, percent
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, Preprocessing
from efficient360.models.model import Model
from efficient360.models.references import resolve

FIRST: Final = 64
"""Images on which every other normalisation is tried; the best of them is judged on more."""
NORMALISATIONS: Final = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "Inception's (0.5)": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP's": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "no": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""The usual means and deviations, by whose they are."""


def better_normalisation(model: Model, examples: ExampleSet, right: Bools, own: Preprocessing, batch_size: int, deadline: Deadline) -> Finding | None:
    """Whether one of the usual normalisations does far better than the one that was assumed. What is evaluated stays as it is.

    Args:
        model: Normalises inside, with ``own``.
        examples: Images to try it on.
        right: Whether each is classified correctly as it is, bool ``(n,)``.
        own: The assumed preprocessing.
        batch_size: Images a forward pass.
        deadline: When to stop.

    Raises:
        OutOfTime: From the deadline.
    """
    others = {name: values for name, values in NORMALISATIONS.items() if not np.allclose(values, (own.mean, own.std), atol=0.01)}
    first = examples.subset(FIRST, examples.seed)
    scores = {name: float(_right(model, first, own, values, batch_size, deadline).mean()) for name, values in others.items()}
    best = max(scores, key=lambda name: scores[name])
    place = {name: i for i, name in enumerate(examples.ids)}
    if scores[best] <= float(right[[place[name] for name in first.ids]].mean()):
        return None
    other = _right(model, examples, own, others[best], batch_size, deadline)
    if not far_better(right, other, len(others)):
        return None
    mean, std = (" ".join(f"{value:g}" for value in values) for values in others[best])
    told = f"with {best} normalisation (mean {mean}, std {std}) the accuracy on {len(right)} images would be {percent(other)} instead of {percent(right)}"
    return Finding("other-normalisation-better", told, "write the mean and std it was trained with into its sidecar, and evaluate it again")


def better_weights(
    checkpoint: Checkpoint, keep: tuple[int, ...] | None, device: str, examples: ExampleSet, right: Bools, batch_size: int, deadline: Deadline
) -> Finding | None:
    """Whether the other weights in a checkpoint's file (the moving average's, or the plain ones) do far better than those that were taken.

    Args:
        checkpoint: What is evaluated.
        keep: As of :func:`efficient360.models.building.load_model`.
        device: Where to run.
        examples: Images to try them on.
        right: Whether each is classified correctly with the weights taken, bool ``(n,)``.
        batch_size: Images a forward pass.
        deadline: When to stop.

    Raises:
        CheckpointError: The other weights are no good.
        OutOfTime: From the deadline.
    """
    other = load_model(resolve(dataclasses.replace(checkpoint.spec, ema=not checkpoint.spec.ema)), device, keep)
    shape = checkpoint.preprocessing
    correct = _right(other, examples, shape, (shape.mean, shape.std), batch_size, deadline)
    if not far_better(right, correct, 1):
        return None
    told = f"with the file's {checkpoint.card['other_weights']} the accuracy on {len(right)} images would be {percent(correct)} instead of {percent(right)}"
    return Finding("other-weights-better", told, "leave out --ema" if checkpoint.spec.ema else "evaluate them with --ema")


def _right(
    model: Model, examples: ExampleSet, own: Preprocessing, other: tuple[Sequence[float], Sequence[float]], batch_size: int, deadline: Deadline
) -> Bools:
    """Whether each example is classified correctly under another normalisation, bool ``(n,)``."""
    mean, std, own_mean, own_std = (torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in (*other, own.mean, own.std))
    right: list[Tensor] = []
    for batch in examples.batches(batch_size):
        deadline.check()
        with torch.inference_mode():
            # The model subtracts its own mean and divides by its own deviation: these pixels come out as the other normalisation would have them.
            logits = model((batch.images - mean) / std * own_std + own_mean)
        right.append(logits.argmax(dim=1).cpu() == batch.labels)
    return torch.cat(right).numpy()
