"""What accuracy is kept when a model is fine-tuned under differential privacy."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Context, Evaluator, Examples, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.privacy import starting_points
from efficient360.methods.privacy.accounting import Exposure, noise_for, spent
from efficient360.methods.privacy.kept import Trained, accuracy_outcomes, figures
from efficient360.methods.privacy.metrics import KEPT, PRIVATE_ACCURACY, SPENT
from efficient360.methods.privacy.private_training import Course, train
from efficient360.methods.privacy.starting_points import ALL, HEAD, ROWS, StartingPoint
from efficient360.storage.row_log import RowLog


@final
@dataclass(frozen=True)
class PrivateTraining(Evaluator):
    """Accuracy kept when the head, and when all layers, are fine-tuned with DP-SGD under ε, against the same fine-tuning without noise.

    Args:
        epsilons: ε to train under, above 0.
        layers: ``head``, a new linear classifier on the checkpoint's features, and ``all``, every layer under a new classifier.
        delta: δ in (0, 1); ``None`` for a tenth of one example's share.
        examples: The most training images.
        tested: The most evaluated images that accuracy is taken on.
        steps: Optimiser steps.
        batch: Images a step on average.
        clip: Largest L2 norm of one image's gradient.
        head_rate: Adam's learning rate for the head.
        all_rate: Adam's learning rate for all layers.
    """

    name: ClassVar[str] = "private_training"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (PRIVATE_ACCURACY, KEPT, SPENT)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT, Need.GRADIENTS})
    epsilons: tuple[float, ...] = (1.0, 3.0, 8.0)
    layers: tuple[str, ...] = (HEAD, ALL)
    delta: float | None = None
    examples: int = 10_000
    tested: int = 1000
    steps: int = 50
    batch: int = 256
    clip: float = 1.0
    head_rate: float = 0.01
    all_rate: float = 2e-4

    def __post_init__(self) -> None:
        if not self.epsilons or min(self.epsilons) <= 0 or len(set(self.epsilons)) < len(self.epsilons):
            raise self._refused("epsilons", "give different ε above 0: [1, 3, 8]")
        if not self.layers or not set(self.layers) <= set(_STARTS) or len(set(self.layers)) < len(self.layers):
            raise self._refused("layers", f"name {' or '.join(_STARTS)}, each once")
        if self.delta is not None and not 0 < self.delta < 1:
            raise self._refused("delta", "give a chance in (0, 1), well below one over the number of images, or null")
        for setting in ("examples", "tested", "steps", "batch", "clip", "head_rate", "all_rate"):
            if getattr(self, setting) <= 0:
                raise self._refused(setting, "give more than 0")

    def surroundings(self) -> Mapping[str, object]:
        """The version of opacus."""
        return {"opacus": metadata.version("opacus")}

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Fine-tune without noise and under each ε, largest first; one Failure for layers that can't be.

        Raises:
            Unsupported: No training images, or no network in torch.
            OutOfTime: From ``context.deadline``; finished trainings are kept.
        """
        if context.training is None or context.examples is None:
            raise Unsupported("no-training-split", "private training was given no training images", "give a data set with a training split")
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "an artefact gives logits only, and this wants gradients", "evaluate the checkpoint itself, without --as")
        training, test = context.training.subset(self.examples, context.seed), context.examples.subset(self.tested, context.seed)
        batch = min(self.batch, len(training))
        exposure = Exposure(batch / len(training), self.steps, self.delta if self.delta is not None else 0.1 / len(training))
        budgets = {epsilon: noise_for(epsilon, exposure) for epsilon in sorted(self.epsilons, reverse=True)}
        for layers in self.layers:
            try:
                start = _STARTS[layers](model, training, test, context)
                hits = self._hits(layers, start, training, test, (0.0, *budgets.values()), context)
                found = [Trained(None, 0.0, None, hits[0])]
                found += [Trained(epsilon, noise, spent(noise, exposure), right) for (epsilon, noise), right in zip(budgets.items(), hits[1:], strict=True)]
                yield from accuracy_outcomes(layers, found, len(training), context.seed, figures(layers, found, exposure, len(training)))
            except Unsupported as error:
                for metric in self.metrics:
                    yield Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, metric, {"layers": layers})

    def _hits(self, layers: str, start: StartingPoint, training: Examples, test: Examples, noises: Sequence[float], context: Context) -> NDArray[np.bool_]:
        """Right or wrong on each test example after a training with each noise, bool ``(len(noises), m)``."""
        log = RowLog(context.scratch / f"{layers}-hits.f32", len(test))
        log.truncate(len(log))
        rate = self.head_rate if layers == HEAD else self.all_rate
        course = Course(self.steps, min(self.batch, len(training)), rate, self.clip, context.seed)
        for i in range(len(log), len(noises)):
            module = start.module()
            labels = torch.from_numpy(training.labels.copy()).to(next(module.parameters()).device)
            progress = partial(_told, context, i, len(noises))
            train(module, start.inputs, labels, course, noises[i], context.deadline, progress)
            log.append(_answers(module, start, test.labels)[None])
        right: NDArray[np.bool_] = log.read(0, len(noises)) == 1
        return right

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", hint)


_STARTS: Final[Mapping[str, Callable[[TorchModel, Examples, Examples, Context], StartingPoint]]] = {
    HEAD: starting_points.head,
    ALL: starting_points.all_layers,
}


def _told(context: Context, training: int, trainings: int, done: int, steps: int) -> None:
    context.progress(training * steps + done, trainings * steps)


def _answers(module: torch.nn.Module, start: StartingPoint, labels: NDArray[np.int64]) -> NDArray[Any]:
    """Whether each test example's label comes first, ``(m,)`` of 0 and 1."""
    rows = np.split(np.arange(len(labels)), range(ROWS, len(labels), ROWS))
    with torch.inference_mode():
        predicted = torch.cat([module(start.tested(part)).argmax(1).cpu() for part in rows]).numpy()
    hits: NDArray[Any] = predicted == labels
    return hits
