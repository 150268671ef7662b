"""Private training: the accuracy kept when a model is fine-tuned with DP-SGD."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.settings import AtLeast1, EachOnce, Level, NotEmpty, Positive, among
from efficient360.errors import Unsupported
from efficient360.evaluator import Context, Evaluator, Examples, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.privacy.dp_accounting import SamplingSchedule, epsilon_spent, noise_multiplier_for
from efficient360.methods.privacy.dp_sgd import DpSgdSettings, train_dp_sgd
from efficient360.methods.privacy.fine_tuning import ALL, BATCH, HEAD, FineTuning, prepare_all_layers, prepare_head
from efficient360.methods.privacy.metrics import KEPT, PRIVATE_ACCURACY, SPENT
from efficient360.methods.privacy.private_accuracy import PrivateRun, accuracy_outcomes, trade_off_figures
from efficient360.storage.row_log import RowLog


@final
@dataclass(frozen=True)
class PrivateTraining(Evaluator):
    """Accuracy after fine-tuning the head, and all layers, with DP-SGD under ε, relative to the same fine-tuning without noise.

    Args:
        epsilons: Target ε, above 0.
        layers: ``head``, a new linear classifier on the checkpoint's features, and ``all``, every layer under a new classifier.
        delta: δ in (0, 1); ``None`` for 0.1 / n with n training images.
        examples: The most training images.
        tested: The most test images.
        steps: Optimiser steps.
        batch: Expected images per step.
        clip: L2 norm that each image's gradient is clipped to.
        head_rate: Adam's learning rate for the head.
        all_rate: Adam's learning rate for all layers.
    """

    name: ClassVar[str] = "private_training"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (PRIVATE_ACCURACY, KEPT, SPENT)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT, Need.GRADIENTS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"epsilons": (), "layers": ()}
    epsilons: Annotated[tuple[Positive, ...], NotEmpty, EachOnce] = (1.0, 3.0, 8.0)
    layers: Annotated[tuple[Annotated[str, among(lambda: tuple(_FINE_TUNINGS))], ...], NotEmpty, EachOnce] = (HEAD, ALL)
    delta: Level | None = None
    examples: AtLeast1 = 10_000
    tested: AtLeast1 = 1000
    steps: AtLeast1 = 50
    batch: AtLeast1 = 256
    clip: Positive = 1.0
    head_rate: Positive = 0.01
    all_rate: Positive = 2e-4

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Fine-tune without noise and under each ε, largest first; failures for layers that can't be trained.

        Raises:
            Unsupported: No training images, or no network in torch.
            OutOfTime: From ``context.deadline``; finished trainings are kept.
        """
        train_split, examples = context.require_training(), context.require_examples()
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "an artefact gives logits only, and this wants gradients", "evaluate the checkpoint itself, without --as")
        training, test = train_split.subset(self.examples, context.seed), examples.subset(self.tested, context.seed)
        batch = min(self.batch, len(training))
        schedule = SamplingSchedule(batch / len(training), self.steps, self.delta if self.delta is not None else 0.1 / len(training))
        noise = {epsilon: noise_multiplier_for(epsilon, schedule) for epsilon in sorted(self.epsilons, reverse=True)}
        for layers in self.layers:
            try:
                fine_tuning = _FINE_TUNINGS[layers](model, training, test, context)
                correct = self._correct(layers, fine_tuning, training, test, (0.0, *noise.values()), context)
                runs = [PrivateRun(None, 0.0, None, correct[0])]
                runs += [
                    PrivateRun(epsilon, sigma, epsilon_spent(sigma, schedule), row) for (epsilon, sigma), row in zip(noise.items(), correct[1:], strict=True)
                ]
                yield from accuracy_outcomes(layers, runs, len(training), context.seed, trade_off_figures(layers, runs, schedule, len(training)))
            except Unsupported as error:
                for metric in self.metrics:
                    yield Failure(Status.UNSUPPORTED, error.code, error.message, error.hint, metric, {"layers": layers})

    def _correct(
        self, layers: str, fine_tuning: FineTuning, training: Examples, test: Examples, noise_multipliers: Sequence[float], context: Context
    ) -> NDArray[np.bool_]:
        """Correctness on each test example after training with each noise multiplier, bool ``(len(noise_multipliers), m)``."""
        log = RowLog(context.scratch / f"{layers}-hits.f32", len(test))
        log.truncate(len(log))
        rate = self.head_rate if layers == HEAD else self.all_rate
        settings = DpSgdSettings(self.steps, min(self.batch, len(training)), rate, self.clip, context.seed)
        for i in range(len(log), len(noise_multipliers)):
            module = fine_tuning.module()
            labels = torch.from_numpy(training.labels.copy()).to(next(module.parameters()).device)
            on_progress = partial(_report_progress, context, i, len(noise_multipliers))
            train_dp_sgd(module, fine_tuning.train_inputs, labels, settings, noise_multipliers[i], context.deadline, on_progress)
            log.append(_test_correctness(module, fine_tuning, test.labels)[None])
        correct: NDArray[np.bool_] = log.read(0, len(noise_multipliers)) == 1
        return correct


_FINE_TUNINGS: Final[Mapping[str, Callable[[TorchModel, Examples, Examples, Context], FineTuning]]] = {
    HEAD: prepare_head,
    ALL: prepare_all_layers,
}


def _report_progress(context: Context, run: int, runs: int, done: int, steps: int) -> None:
    context.progress(run * steps + done, runs * steps)


def _test_correctness(module: torch.nn.Module, fine_tuning: FineTuning, labels: NDArray[np.int64]) -> NDArray[Any]:
    """Whether each test example is classified correctly, ``(m,)`` of 0 and 1."""
    batches = np.split(np.arange(len(labels)), range(BATCH, len(labels), BATCH))
    with torch.inference_mode():
        predicted = torch.cat([module(fine_tuning.test_inputs(rows)).argmax(1).cpu() for rows in batches]).numpy()
    correct: NDArray[Any] = predicted == labels
    return correct
