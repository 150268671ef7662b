"""What nobody named, tried the other way on a few hundred images: another preprocessing, the other weights of the file. What is evaluated stays."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.findings import Finding
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import decoder_for
from efficient360.datasets.in_memory import unpacked
from efficient360.evaluator import Deadline
from efficient360.execution.prediction_findings import Bools, far_better, percent
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Preprocessing
from efficient360.models.model import Model
from efficient360.models.references import resolve

T = TypeVar("T")

FIRST: Final = 64
"""Images on which everything is tried; the best is judged on more."""
HEAD_SIZES: Final = (16, 32, 48, 64, 96, 128)
"""Usual widths of an attention head."""
CLOSE: Final = 3 / FIRST
"""What does worse than the best of these images by no more than this share is judged on more, too."""
NORMALISATIONS: Final = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "Inception's (0.5)": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP's": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "no": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""The usual means and deviations, by whose they are."""


@final
@dataclass(frozen=True)
class Trial:
    """What alternatives are tried on.

    Args:
        examples: The images.
        right: Whether each is classified correctly as it is evaluated, bool ``(n,)``.
        batch_size: Images a forward pass.
        deadline: When to stop.
    """

    examples: ExampleSet
    right: Bools
    batch_size: int
    deadline: Deadline


def better_preprocessing(model: Model, own: Preprocessing, assumed: Collection[str], trial: Trial) -> Finding | None:
    """Whether another usual preprocessing does far better than the assumed one: another mean and deviation, no crop, or both. What is evaluated stays.

    Args:
        model: Normalises inside, with ``own``.
        own: The preprocessing that is evaluated.
        assumed: Which of its values nobody named; only these are tried otherwise.
        trial: What it is tried on.

    Raises:
        OutOfTime: From the deadline.
    """
    examples, right = trial.examples, trial.right
    few = examples.subset(FIRST, examples.seed)
    place = {name: i for i, name in enumerate(examples.ids)}
    first = dataclasses.replace(trial, examples=few, right=right[[place[name] for name in few.ids]])

    def score(other: Preprocessing) -> float:
        return float(_right(model, own, other, first).mean())

    tried = {own: float(first.right.mean())}
    if {"mean", "std"} & set(assumed):
        tried |= {other: score(other) for other in _normalised(own)}
    if "crop_pct" in assumed and own.crop_pct < 1 and examples.decoder is not unpacked:
        for other in {own, max(tried, key=lambda other: tried[other])}:
            whole = dataclasses.replace(other, crop_pct=1.0)
            tried[whole] = score(whole)
    if max(tried, key=lambda other: tried[other]) == own:
        return None
    near = [other for other in tried if other != own and tried[other] >= max(tried.values()) - CLOSE]
    correct = {other: _right(model, own, other, trial) for other in near}
    winners = _far_better(right, correct, len(tried) - 1)
    if not winners:
        return None
    best, *rest = winners
    told = f"with {_described(own, best)} the accuracy on {len(right)} images would be {percent(correct[best])} instead of {percent(right)}"
    if rest:  # several normalisations are alike: which one it was trained with, the images can't tell
        told += f"; with {' or '.join(f'{_described(own, other)} {percent(correct[other])}' for other in rest)}"
    return Finding("other-preprocessing-better", told, "write what it was trained with into its sidecar, or give it with --preprocess, and evaluate it again")


def _normalised(own: Preprocessing) -> list[Preprocessing]:
    others = [values for values in NORMALISATIONS.values() if not np.allclose(values, (own.mean, own.std), atol=0.01)]
    return [dataclasses.replace(own, mean=mean, std=std) for mean, std in others]


def _described(own: Preprocessing, other: Preprocessing) -> str:
    parts = []
    if (own.mean, own.std) != (other.mean, other.std):
        whose = next(name for name, values in NORMALISATIONS.items() if values == (other.mean, other.std))
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (other.mean, other.std))
        parts.append(f"{whose} normalisation (mean {mean}, std {std})")
    if own.crop_pct != other.crop_pct:
        parts.append(f"crop {other.crop_pct:g} instead of {own.crop_pct:g}")
    return " and ".join(parts)


def better_weights(checkpoint: Checkpoint, key: str, keep: tuple[int, ...] | None, device: str, trial: Trial) -> Finding | None:
    """Whether other weights in a checkpoint's file (a moving average's, a teacher's) do far better than those that were taken.

    Args:
        checkpoint: What is evaluated.
        key: The others, as ``weights_key`` takes them.
        keep: As of :func:`efficient360.models.building.load_model`.
        device: Where to run.
        trial: What they are tried on.

    Raises:
        CheckpointError: The other weights are no good.
        OutOfTime: From the deadline.
    """
    right = trial.right
    correct = _right_as(dataclasses.replace(checkpoint.spec, weights_key=key), checkpoint.preprocessing, keep, device, trial)
    if not far_better(right, correct, len(checkpoint.alternatives)):
        return None
    told = f"with the file's {key} the accuracy on {len(right)} images would be {percent(correct)} instead of {percent(right)}"
    return Finding("other-weights-better", told, f"evaluate them with --weights-key {key}")


def better_heads(checkpoint: Checkpoint, keep: tuple[int, ...] | None, device: str, trial: Trial) -> Finding | None:
    """Whether another number of heads does far better than the one that was typed: no shape tells it, and every number runs.

    Args:
        checkpoint: What is evaluated; ``num_heads`` is among the arguments given for it.
        keep: As of :func:`efficient360.models.building.load_model`.
        device: Where to run.
        trial: What it is tried on.

    Raises:
        CheckpointError: A network with another number can't be built.
        OutOfTime: From the deadline.
    """
    given, width = checkpoint.arguments["num_heads"], checkpoint.arguments.get("embed_dim")
    if not isinstance(width, int):
        return None
    others = [width // size for size in HEAD_SIZES if width % size == 0 and width // size != given]
    spec, right = checkpoint.spec, trial.right
    specs = {heads: dataclasses.replace(spec, arguments={**spec.arguments, "num_heads": heads}) for heads in others}
    # Each network is built once and let go: that takes longer than a few hundred images, which are therefore all judged.
    judged = {heads: _right_as(specs[heads], checkpoint.preprocessing, keep, device, trial) for heads in others}
    winners = _far_better(right, judged, len(judged))
    if not winners:
        return None
    best, *rest = winners
    told = f"with num_heads={best} the accuracy on {len(right)} images would be {percent(judged[best])} instead of {percent(right)} with the {given} given"
    told += "".join(f"; with {heads}, {percent(judged[heads])}" for heads in rest if judged[heads].mean() >= judged[best].mean() - CLOSE)
    return Finding("other-heads-better", told, f"evaluate it with --arch-arg num_heads={best}")


def _far_better(right: Bools, correct: Mapping[T, Bools], tests: int) -> list[T]:
    """The alternatives, the best first, where that one does far better than what is evaluated; else none."""
    ranked = sorted(correct, key=lambda other: -correct[other].mean())
    return ranked if ranked and far_better(right, correct[ranked[0]], tests) else []


def _right_as(spec: CheckpointSpec, shape: Preprocessing, keep: tuple[int, ...] | None, device: str, trial: Trial) -> Bools:
    """Whether each example is classified correctly by another reading of the checkpoint, bool ``(n,)``."""
    return _right(load_model(resolve(spec), device, keep), shape, shape, trial)


def _right(model: Model, own: Preprocessing, other: Preprocessing, trial: Trial) -> Bools:
    """Whether each example is classified correctly under another preprocessing, bool ``(n,)``."""
    examples = trial.examples
    if other.crop_pct != own.crop_pct:
        examples = dataclasses.replace(examples, decoder=decoder_for(other, examples.white))
    mean, std, own_mean, own_std = (torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in (other.mean, other.std, own.mean, own.std))
    right: list[Tensor] = []
    for batch in examples.batches(trial.batch_size):
        trial.deadline.check()
        with torch.inference_mode():
            # The model subtracts its own mean and divides by its own deviation: these pixels come out as the other normalisation would have them.
            logits = model((batch.images - mean) / std * own_std + own_mean)
        right.append(logits.argmax(dim=1).cpu() == batch.labels)
    return torch.cat(right).numpy()
