"""Spectra of a network's features: high frequencies and rank of the tokens through depth, filtered images, attention, and the Hessian of the loss."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Final, final

import torch
from pydantic import AfterValidator

from efficient360.core.findings import findings_table
from efficient360.core.settings import AtLeast1, AtLeast2, Count, EachOnce, Level, NotEmpty
from efficient360.evaluator import Batch, Context, ExampleEvaluator, Examples, Measurement, Metric, Model, Need, Outcome, Scores, ScoreTable, TorchModel
from efficient360.methods.spectral.attention_statistics import AttentionStatistics, record_attention
from efficient360.methods.spectral.attention_summary import (
    ATTENTION_METRICS,
    AttentionTable,
    attention_columns,
    attention_outcomes,
    attention_rows,
    no_attention,
)
from efficient360.methods.spectral.feature_metrics import COLUMNS, METRICS, UNFILTERED_CORRECT, FeatureOutcomes, not_in_artefact, unsupported
from efficient360.methods.spectral.fourier import filter_images, filtered_accuracy, image_filters, untrained_accuracy
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hessian_top_eigenvalue import HESSIAN_METRICS, hessian_outcomes
from efficient360.methods.spectral.rank_collapse import block_scores, token_outcomes
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

MAX_BATCH: Final = 32
"""Maximum number of images per pass: their spectra need several times the memory of a block's tokens."""
MAX_ATTENTION_BATCH: Final = 8
"""Maximum number of images per pass when attention matrices are materialised."""


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(values):
        raise ValueError("give them in ascending order")
    return values


@final
@dataclass(frozen=True)
class FeatureSpectrum(ExampleEvaluator):
    """High frequencies and rank of the tokens through depth, accuracy on filtered images, attention statistics, and curvature of the loss over the weights.

    Args:
        examples: Number of images that are filtered and followed through the blocks, at least 1; ``None`` for all.
        bands: Ascending cutoffs of the filters as shares of the Nyquist frequency, above 0 and below 1; a low-pass and a high-pass filter at each, and a
            band-pass filter between each and the next.
        attention_examples: Maximum number of these images whose attention is recorded; 0 for none.
        hessian_examples: Number of images in the loss whose Hessian is taken; 0 for none.
        steps: Maximum number of Lanczos steps for the top eigenvalue, at least 1; it stops earlier once it is known within 1 %.
        probes: Random vectors for the trace, at least 2.
        rows: Images per pass of the Hessian, at least 1; fewer need less memory.
    """

    name: ClassVar[str] = "feature_spectrum"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    columns: ClassVar[tuple[Metric, ...]] = COLUMNS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "examples": (),
        "bands": (),
        "attention_examples": ("attention_entropy", "attention_distance", "attention_response"),
        "hessian_examples": ("hessian_top_eigenvalue", "hessian_trace"),
        "steps": ("hessian_top_eigenvalue",),
        "probes": ("hessian_trace",),
        "rows": (),
    }
    examples: AtLeast1 | None = 256
    bands: Annotated[tuple[Level, ...], NotEmpty, EachOnce, AfterValidator(_ascending)] = (0.0625, 0.125, 0.25, 0.5)
    attention_examples: Count = 128
    hessian_examples: Count = 64
    steps: AtLeast1 = 30
    probes: AtLeast2 = 10
    rows: AtLeast1 = 16

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """The most images whose early blocks' spectra fit in memory."""
        return MAX_BATCH

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Correctness on unfiltered and on filtered images, and scores of the tokens after each block."""
        labels = batch.labels.cpu()
        yield Scores(UNFILTERED_CORRECT, model.logits(batch).argmax(1).cpu() == labels)
        for metric, conditions, band in image_filters(self.bands):
            with torch.no_grad():
                predicted = model(filter_images(batch.images, band).clamp(0, 1)).argmax(1).cpu()
            yield Scores(metric, predicted == labels, conditions)
        if isinstance(model, TorchModel):
            yield from block_scores(model, batch.images)

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Means with figures; then attention and Hessian, each on some of the images."""
        parts = [token_outcomes(model, table, context.seed), self._accuracy(table, context), self._attention(model, context), self._hessian(model, context)]
        findings = [finding for part in parts for finding in part.findings]
        outcomes = [outcome for part in parts for outcome in part.outcomes]
        first = next((i for i, outcome in enumerate(outcomes) if isinstance(outcome, Measurement)), None)
        for i, outcome in enumerate(outcomes):
            yield replace(outcome, extra=(findings_table(findings), *outcome.extra)) if i == first and isinstance(outcome, Measurement) else outcome

    def _accuracy(self, table: ScoreTable, context: Context[Examples]) -> FeatureOutcomes:
        return filtered_accuracy(table, self.bands, context.seed) if context.checkpoint.trained else untrained_accuracy(self.bands)

    def _attention(self, model: Model, context: Context[Examples]) -> FeatureOutcomes:
        if not self.attention_examples:
            return FeatureOutcomes()
        if not isinstance(model, TorchModel):
            return unsupported(ATTENTION_METRICS, not_in_artefact("attention inside the network"))
        images = context.examples.subset(self.attention_examples, context.seed)
        table, network = _attention_table(model, images, context), type(model.network).__name__
        return no_attention(network) if table is None else attention_outcomes(table, network, context.seed)

    def _hessian(self, model: Model, context: Context[Examples]) -> FeatureOutcomes:
        if not self.hessian_examples:
            return FeatureOutcomes()
        if not isinstance(model, TorchModel):
            return unsupported(HESSIAN_METRICS, not_in_artefact("gradients"))
        (batch,) = context.examples.subset(self.hessian_examples, context.seed).batches(self.hessian_examples)
        hessian = LossHessian(model, batch.images, batch.labels, self.rows)
        return hessian_outcomes(hessian, self.steps, self.probes, context.seed, context.scratch, context.deadline.check)


def _attention_table(model: TorchModel, images: Examples, context: Context[Examples]) -> AttentionTable | None:
    """Attention statistics of every layer on the images, saved to disk; ``None`` if the network shows no attention."""
    (first,) = images.subset(1, context.seed).batches(1)
    layers = attention_columns(_attention(model, first))
    if not layers:
        return None
    log = RowLog(context.scratch / "attention.f64", sum(layer.width for layer in layers), "float64")
    size = min(context.batch_size, MAX_ATTENTION_BATCH)
    rows = recorded(log, images, size, lambda batch: attention_rows(_attention(model, batch)), context.deadline, context.progress)
    return AttentionTable(layers, rows)


def _attention(model: TorchModel, batch: Batch) -> Sequence[AttentionStatistics]:
    images = batch.images.to(model.device)
    with torch.no_grad(), record_attention(model.network, images, model.view) as statistics:
        model(images)
    return statistics
