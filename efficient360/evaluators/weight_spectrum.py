"""Spectral complexity of the weights: norms, ranks and tails of every layer's spectrum, and how sensitive the whole network is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.findings import findings_table
from efficient360.core.seeding import generators
from efficient360.core.statistics import FEWEST_FOR_MEDIAN, median_interval
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Batch, Context, Evaluator, Examples, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.spectral.inventory import inventory
from efficient360.methods.spectral.layers import Layer, layers_of
from efficient360.methods.spectral.local_lipschitz import jacobian_norms
from efficient360.methods.spectral.margin_complexity import log10_complexity, log10_normalised, margins
from efficient360.methods.spectral.norm_product import NormProduct, norm_product
from efficient360.methods.spectral.weight_findings import findings
from efficient360.methods.spectral.weight_metrics import (
    ALPHA,
    ALPHA_DISTANCE,
    ALPHA_WITHIN,
    CHAINED,
    COMPLEXITY,
    EFFECTIVE,
    FITTED,
    LOCAL,
    LOWER_BOUND,
    MARGIN,
    MEASURED,
    METRICS,
    NORM,
    PRODUCT,
    RATIO,
    STABLE,
    WITHIN,
)
from efficient360.methods.spectral.weight_pictures import pictures
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

PASS: Final = 8
"""The most images whose derivatives are taken at once: their activations are all held."""


@final
@dataclass(frozen=True)
class WeightSpectrum(Evaluator):
    """Spectral norm, stable and effective rank and power-law tail of every layer; norm product, normalised margin and local Lipschitz constant.

    Args:
        smallest: Smaller side of a matrix from which on a power law is fitted to its eigenvalues; below, too few are left for a tail.
        images: Images at which the Jacobian is taken; 0 for none.
        steps: Most steps of an iteration on the Jacobian, each a backward and a forward derivative; with no more classes than this it is exact.
        training_examples: The most training images whose margins are taken; without a training split evaluated ones are.
    """

    name: ClassVar[str] = "weight_spectrum"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT})
    smallest: int = 128
    images: int = 24
    steps: int = 12
    training_examples: int = 5000

    def __post_init__(self) -> None:
        for setting, low in {"smallest": 16, "images": 0, "steps": 2, "training_examples": 1}.items():
            if getattr(self, setting) < low:
                raise SettingsError("bad-setting", f"the setting {setting} of weight_spectrum is {getattr(self, setting)}", f"give {low} or more")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Decompose every weight, then look at examples where there are any.

        Raises:
            Unsupported: The network has no weight that acts as a linear operator (``no-operators``).
            OutOfTime: From ``context.deadline``.
        """
        assert isinstance(model, TorchModel)  # GRADIENTS is among the needs
        found = inventory(model.network, torch.full((1, *model.input_size), 0.5, device=model.device))
        if not found.weights:
            message = f"{type(model.network).__name__} holds no linear layer, convolution or Fourier filter"
            raise Unsupported("no-operators", message, "evaluate a network in floating point, as it was trained")

        def step(done: int, total: int) -> None:
            context.deadline.check()
            context.progress(done, total + self.images)

        layers = layers_of(found, self.smallest, context.seed, step)
        product = norm_product(model.network, layers, model.module.std)
        lengths, local = self._locally(model, context, len(layers))
        table = findings_table(list(findings(found, layers, product)))
        yield from self._ranks(layers, (*pictures(layers), table))
        yield from self._tails(layers)
        yield from self._chained(layers, product)
        yield self._margin(context, layers, product, lengths)
        yield from local

    def _ranks(self, layers: Sequence[Layer], figures: tuple[Any, ...]) -> Iterator[Outcome]:
        ratios = [ratio for layer in layers if (ratio := layer.against_random) is not None]
        if ratios:
            yield Measurement(RATIO, float(np.mean(ratios)), len(ratios), extra=figures)
        else:
            yield Failure(Status.UNSUPPORTED, "no-matrices", "no weight is a matrix with both sides of 8 or more", "read the stable rank itself", RATIO)
        yield Measurement(STABLE, float(np.mean([layer.spectrum.stable_share for layer in layers])), len(layers))
        yield Measurement(EFFECTIVE, float(np.mean([layer.spectrum.effective_share for layer in layers])), len(layers))
        yield Measurement(NORM, max(layer.spectrum.norm for layer in layers), len(layers))

    def _tails(self, layers: Sequence[Layer]) -> Iterator[Outcome]:
        laws = [layer.law for layer in layers if layer.law is not None]
        if not laws:
            widest = max((min(layer.shape) for layer in layers if layer.shape), default=0)
            message = f"the widest matrix has {widest} eigenvalues, and a tail wants {self.smallest}"
            for metric in FITTED:
                yield Failure(Status.UNSUPPORTED, "narrow-matrices", message, "read the stable rank, which holds for any width", metric)
            return
        alphas = np.array([law.alpha for law in laws])
        yield Measurement(ALPHA, float(alphas.mean()), len(laws))
        yield Measurement(ALPHA_WITHIN, float(((alphas >= WITHIN[0]) & (alphas <= WITHIN[1])).mean()), len(laws))
        yield Measurement(ALPHA_DISTANCE, float(np.mean([law.distance for law in laws])), len(laws))

    def _chained(self, layers: Sequence[Layer], product: NormProduct) -> Iterator[Outcome]:
        if product.zero:
            for metric in CHAINED:
                yield _zero(product, metric)
            return
        conditions = {"bound": "yes" if product.is_bound else "no"}
        yield Measurement(PRODUCT, product.log10, len(layers), conditions=conditions)
        yield Measurement(COMPLEXITY, log10_complexity(product.log10, layers), len(layers), conditions=conditions)

    def _locally(self, model: TorchModel, context: Context, before: int) -> tuple[NDArray[np.float64], Sequence[Outcome]]:
        """Lengths of some images as vectors, and the Jacobian's norm at them or why there is none."""
        if (why := self._no_examples(context)) is not None or context.examples is None:
            return np.empty(0), [Failure(Status.UNSUPPORTED, *(why or _NO_DATA), metric=metric) for metric in MEASURED]
        examples = context.examples.subset(self.images, context.seed)

        def row(batch: Batch) -> NDArray[Any]:
            noise = np.stack([one.standard_normal(model.num_classes) for one in generators("jacobian", batch.ids, context.seed)])
            norms = jacobian_norms(model, batch.images, torch.from_numpy(noise), self.steps).numpy()
            return np.stack([norms, batch.images.flatten(1).double().norm(dim=1).cpu().numpy()], axis=1)

        log = RowLog(context.scratch / "jacobian.f64", 2, "float64")
        try:
            told = lambda done, total: context.progress(before + done, before + total)  # noqa: E731
            rows = recorded(log, examples, min(PASS, context.batch_size), row, context.deadline, told)
        except RuntimeError as error:
            said = " ".join(str(error).split())[:200]
            hint = "give at least as many steps as there are classes, --set weight_spectrum.steps=K: that wants backward derivatives only"
            return np.empty(0), [Failure(Status.UNSUPPORTED, "not-differentiable", f"an operator has no derivative: {said}", hint, m) for m in MEASURED]
        norms = rows[:, 0]
        interval = median_interval(norms) if len(norms) >= FEWEST_FOR_MEDIAN else None
        return rows[:, 1], [
            Measurement(LOCAL, float(np.median(norms)), len(norms), interval),
            Measurement(LOWER_BOUND, float(norms.max()), len(norms)),
        ]

    def _no_examples(self, context: Context) -> tuple[str, str, str] | None:
        if context.examples is None:
            return _NO_DATA
        if not context.checkpoint.trained:
            return "random-weights", "random weights: how they answer to images would mean nothing", "evaluate a trained checkpoint"
        return None if self.images else ("no-images", "the setting images of weight_spectrum is 0", "raise it")

    def _margin(self, context: Context, layers: Sequence[Layer], product: NormProduct, lengths: NDArray[np.float64]) -> Outcome:
        if product.zero:
            return _zero(product, MARGIN)
        if (why := self._no_examples(context)) is not None or context.examples is None:
            return Failure(Status.UNSUPPORTED, *(why or _NO_DATA), metric=MARGIN)
        if not len(lengths):
            return Failure(Status.UNSUPPORTED, "no-lengths", "no image was looked at", "raise the setting images", MARGIN)
        whole: Examples = context.examples if context.training is None else context.training
        examples = context.predicted(whole.subset(self.training_examples, context.seed))
        values = np.concatenate([_margins(batch) for batch in examples.batches(context.batch_size)])
        median = float(np.median(values))
        split = "evaluated" if context.training is None else "training"
        if median <= 0:
            message = f"half of the {split} images are answered wrong: there is no margin"
            return Failure(Status.UNSUPPORTED, "no-margin", message, "evaluate a model that fits its data", MARGIN)
        length = float(np.sqrt(np.square(lengths).mean()))
        value = log10_normalised(median, log10_complexity(product.log10, layers), length, len(whole))
        return Measurement(MARGIN, value, len(values), conditions={"split": split})


_NO_DATA = ("no-dataset", "no data set was given", "add --dataset")


def _margins(batch: Batch) -> NDArray[np.float64]:
    assert batch.clean_logits is not None  # predicted examples carry them
    return margins(batch.clean_logits.cpu().numpy(), batch.labels.cpu().numpy())


def _zero(product: NormProduct, metric: Metric) -> Failure:
    message = f"{product.zero} is zero, and with it the product of the norms"
    return Failure(Status.UNSUPPORTED, "zero-layer", message, "train it: some layers begin at zero", metric)
