"""Spectral complexity of the weights: norms, ranks and power-law tails of every layer's spectrum, and the sensitivity of the whole network."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from efficient360.core.findings import findings_table
from efficient360.core.seeding import generators
from efficient360.core.settings import AtLeast1, AtLeast2, Count
from efficient360.core.statistics import FEWEST_FOR_MEDIAN, median_interval
from efficient360.errors import Unsupported
from efficient360.evaluator import Batch, Context, Evaluator, Examples, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.spectral.layer_spectra import MINIMUM_SIDE, LayerSpectrum, layer_spectra
from efficient360.methods.spectral.linear_operators import find_operators
from efficient360.methods.spectral.lipschitz import (
    NormProduct,
    classification_margins,
    jacobian_norms,
    log10_normalised_margin,
    log10_spectral_complexity,
    norm_product,
)
from efficient360.methods.spectral.weight_metrics import (
    ALPHA,
    ALPHA_DISTANCE,
    ALPHA_METRICS,
    ALPHA_RANGE,
    ALPHA_WITHIN,
    EFFECTIVE_RANK_SHARE,
    JACOBIAN_METRICS,
    LARGEST_SPECTRAL_NORM,
    LIPSCHITZ_LOWER_BOUND,
    LOCAL_LIPSCHITZ,
    LOG10_NORM_PRODUCT,
    LOG10_NORMALISED_MARGIN,
    LOG10_SPECTRAL_COMPLEXITY,
    METRICS,
    NORM_PRODUCT_METRICS,
    STABLE_RANK_RATIO,
    STABLE_RANK_SHARE,
)
from efficient360.methods.spectral.weight_report import weight_figures, weight_findings
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

MAX_BATCH: Final = 8
"""Maximum number of images differentiated at once, since all their activations are kept."""


@final
@dataclass(frozen=True)
class WeightSpectrum(Evaluator):
    """Spectral norm, stable and effective rank and power-law tail of every layer; norm product, normalised margin and local Lipschitz constant.

    Args:
        smallest: Smaller side that a matrix needs for a power-law fit to its eigenvalues, at least 16; below, there are too few for a tail.
        images: Images at which the Jacobian is computed; 0 for none.
        steps: Maximum number of Lanczos steps for the Jacobian's norm, at least 2, each a backward and a forward derivative; with no more classes than
            this the Jacobian is exact.
        training_examples: Maximum number of training images for the margins, at least 1; without a training split evaluated images are used.
    """

    name: ClassVar[str] = "weight_spectrum"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED, Need.TRAINING_SPLIT})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "smallest": ("alpha", "alpha_within", "alpha_distance"),
        "images": ("local_lipschitz",),
        "steps": ("local_lipschitz",),
        "training_examples": ("log10_normalised_margin",),
    }
    smallest: Annotated[int, Field(ge=16)] = 128
    images: Count = 24
    steps: AtLeast2 = 12
    training_examples: AtLeast1 = 5000

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Decompose every weight, then differentiate at examples if there are any.

        Raises:
            Unsupported: The model is an artefact (``deployed``), or no weight acts as a linear operator (``no-operators``).
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("deployed", "an artefact gives logits only, and this needs gradients", "evaluate the checkpoint itself, without --as")
        inventory = find_operators(model.network, torch.full((1, *model.input_size), 0.5, device=model.device), model.view)
        if not inventory.weights:
            message = f"{type(model.network).__name__} has no linear layer, convolution or Fourier filter"
            raise Unsupported("no-operators", message, "evaluate a network in floating point, as it was trained")

        def on_progress(done: int, total: int) -> None:
            context.deadline.check()
            context.progress(done, total + self.images)

        layers = layer_spectra(inventory, self.smallest, context.seed, on_progress)
        product = norm_product(model.network, layers, model.module.std)
        input_norms, local = self._local_lipschitz(model, context, len(layers))
        findings = findings_table(list(weight_findings(inventory, layers, product)))
        yield from _ranks(layers, (*weight_figures(layers), findings))
        yield from self._power_laws(layers)
        yield from _norm_products(layers, product)
        yield self._normalised_margin(model, context, layers, product, input_norms)
        yield from local

    def _power_laws(self, layers: Sequence[LayerSpectrum]) -> Iterator[Outcome]:
        laws = [layer.power_law for layer in layers if layer.power_law is not None]
        if not laws:
            widest = max((min(layer.shape) for layer in layers if layer.shape), default=0)
            message = f"the widest matrix has {widest} eigenvalues, and the fit needs at least {self.smallest}"
            for metric in ALPHA_METRICS:
                yield Failure(Status.UNSUPPORTED, "narrow-matrices", message, "read the stable rank, which is valid for any width", metric)
            return
        alphas = np.array([law.alpha for law in laws])
        low, high = ALPHA_RANGE
        yield Measurement(ALPHA, float(alphas.mean()), len(laws))
        yield Measurement(ALPHA_WITHIN, float(((alphas >= low) & (alphas <= high)).mean()), len(laws))
        yield Measurement(ALPHA_DISTANCE, float(np.mean([law.ks_distance for law in laws])), len(laws))

    def _local_lipschitz(self, model: TorchModel, context: Context, layers_done: int) -> tuple[NDArray[np.float64], Sequence[Outcome]]:
        """Euclidean norms of some images, and the spectral norm of the Jacobian at them or the reason why there is none."""
        try:
            examples = self._require_trained_examples(context).subset(self.images, context.seed)
        except Unsupported as error:
            return np.empty(0), [Failure.of(Status.UNSUPPORTED, error, metric) for metric in JACOBIAN_METRICS]

        def row(batch: Batch) -> NDArray[Any]:
            starts = np.stack([generator.standard_normal(model.num_classes) for generator in generators("jacobian", batch.ids, context.seed)])
            norms = jacobian_norms(model, batch.images, torch.from_numpy(starts), self.steps).numpy()
            return np.stack([norms, batch.images.flatten(1).double().norm(dim=1).cpu().numpy()], axis=1)

        def on_progress(done: int, total: int) -> None:
            context.progress(layers_done + done, layers_done + total)

        log = RowLog(context.scratch / "jacobian.f64", 2, "float64")
        try:
            rows = recorded(log, examples, min(MAX_BATCH, context.batch_size), row, context.deadline, on_progress)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            hint = "give at least as many steps as there are classes, --set weight_spectrum.steps=K: that needs backward derivatives only"
            message = f"an operator has no derivative: {reason}"
            return np.empty(0), [Failure(Status.UNSUPPORTED, "not-differentiable", message, hint, metric) for metric in JACOBIAN_METRICS]
        norms = rows[:, 0]
        interval = median_interval(norms) if len(norms) >= FEWEST_FOR_MEDIAN else None
        return rows[:, 1], [
            Measurement(LOCAL_LIPSCHITZ, float(np.median(norms)), len(norms), interval, repeatable=False),
            Measurement(LIPSCHITZ_LOWER_BOUND, float(norms.max()), len(norms), repeatable=False),
        ]

    def _require_trained_examples(self, context: Context) -> Examples:
        """The evaluated split of a trained checkpoint.

        Raises:
            Unsupported: There is none, the weights are random, or no images were asked for.
        """
        examples = context.require_examples()
        if not context.checkpoint.trained:
            raise Unsupported("random-weights", "random weights: their response to images would mean nothing", "evaluate a trained checkpoint")
        if not self.images:
            raise Unsupported("no-images", "the setting images of weight_spectrum is 0", "raise it")
        return examples

    def _normalised_margin(
        self, model: TorchModel, context: Context, layers: Sequence[LayerSpectrum], product: NormProduct, input_norms: NDArray[np.float64]
    ) -> Outcome:
        if product.zero_layer:
            return _zero_layer(product, LOG10_NORMALISED_MARGIN)
        try:
            evaluated = self._require_trained_examples(context)
        except Unsupported as error:
            return Failure.of(Status.UNSUPPORTED, error, LOG10_NORMALISED_MARGIN)
        if not len(input_norms):
            return Failure(Status.UNSUPPORTED, "no-lengths", "no image was differentiated", "raise the setting images", LOG10_NORMALISED_MARGIN)
        split = "evaluated" if context.training is None else "training"
        whole = evaluated if context.training is None else context.training
        examples = context.predicted(whole.subset(self.training_examples, context.seed))
        margins = np.concatenate([_margins(model, batch) for batch in examples.batches(context.batch_size)])
        median = float(np.median(margins))
        if median <= 0:
            message = f"at least half of the {split} images are misclassified: the median margin is not positive"
            return Failure(Status.UNSUPPORTED, "no-margin", message, "evaluate a model that fits its data", LOG10_NORMALISED_MARGIN)
        rms = float(np.sqrt(np.square(input_norms).mean()))
        value = log10_normalised_margin(median, log10_spectral_complexity(product.log10, layers), rms, len(whole))
        return Measurement(LOG10_NORMALISED_MARGIN, value, len(margins), conditions={"split": split}, repeatable=False)


def _ranks(layers: Sequence[LayerSpectrum], figures: tuple[Any, ...]) -> Iterator[Outcome]:
    ratios = [ratio for layer in layers if (ratio := layer.stable_rank_ratio) is not None]
    if ratios:
        yield Measurement(STABLE_RANK_RATIO, float(np.mean(ratios)), len(ratios), extra=figures)
    else:
        message = f"no weight is a matrix with both sides of {MINIMUM_SIDE} or more"
        yield Failure(Status.UNSUPPORTED, "no-matrices", message, "read the stable rank itself", STABLE_RANK_RATIO)
    yield Measurement(STABLE_RANK_SHARE, float(np.mean([layer.spectrum.stable_rank_share for layer in layers])), len(layers))
    yield Measurement(EFFECTIVE_RANK_SHARE, float(np.mean([layer.spectrum.effective_rank_share for layer in layers])), len(layers))
    yield Measurement(LARGEST_SPECTRAL_NORM, max(layer.spectrum.spectral_norm for layer in layers), len(layers))


def _norm_products(layers: Sequence[LayerSpectrum], product: NormProduct) -> Iterator[Outcome]:
    if product.zero_layer:
        for metric in NORM_PRODUCT_METRICS:
            yield _zero_layer(product, metric)
        return
    conditions = {"bound": "yes" if product.is_bound else "no"}
    yield Measurement(LOG10_NORM_PRODUCT, product.log10, len(layers), conditions=conditions)
    yield Measurement(LOG10_SPECTRAL_COMPLEXITY, log10_spectral_complexity(product.log10, layers), len(layers), conditions=conditions)


def _zero_layer(product: NormProduct, metric: Metric) -> Failure:
    message = f"{product.zero_layer} is zero, and with it the product of the norms"
    return Failure(Status.UNSUPPORTED, "zero-layer", message, "train it: some layers are initialised to zero", metric)


def _margins(model: TorchModel, batch: Batch) -> NDArray[np.float64]:
    return classification_margins(model.logits(batch).cpu().numpy(), batch.labels.cpu().numpy())
