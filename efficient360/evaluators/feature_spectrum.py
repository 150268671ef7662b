"""The spectra of a network's features: what becomes of detail on the way through it, and how the loss bends around its weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

import torch

from efficient360.core.findings import findings_table
from efficient360.errors import SettingsError
from efficient360.evaluator import Batch, Context, ExampleEvaluator, Examples, Measurement, Metric, Model, Need, Outcome, Scores, ScoreTable, TorchModel
from efficient360.methods.attribution.attention import capture_attention
from efficient360.methods.spectral import attention_part, curvature_part, filters_part
from efficient360.methods.spectral.attention_layers import LayerAttention, attention_watched
from efficient360.methods.spectral.attention_table import AttentionTable, layers_of, rows_of
from efficient360.methods.spectral.depth import through_depth
from efficient360.methods.spectral.depth_part import through_blocks
from efficient360.methods.spectral.feature_metrics import CLEAN, COLUMNS, METRICS
from efficient360.methods.spectral.frequency_bands import filtered
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.part import Part, deployed, nothing
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

ROWS: Final = 32
"""Images a pass: their spectra take several times the memory of a block's tokens."""
ATTENTION_ROWS: Final = 8
"""Images a pass where attention is written down."""


@final
@dataclass(frozen=True)
class FeatureSpectrum(ExampleEvaluator):
    """Detail and rank of the tokens through depth, filtered images, attention as a filter, and the curvature of the loss over the weights.

    Args:
        examples: How many images are filtered and followed through the blocks, ``None`` for all.
        bands: Cutoffs of the filters ascending, as shares of the highest frequency, above 0 and below 1; a pass for each side of each and each band between.
        attention_examples: The most of the images whose attention is written down; 0 for none.
        hessian_examples: Images of the loss that is differentiated twice; 0 for none.
        steps: The most steps towards the largest eigenvalue; it ends earlier when it is known within 1 %.
        probes: Random vectors that estimate the trace, at least 2.
        rows: Images a pass of the Hessian; fewer take less memory.
    """

    name: ClassVar[str] = "feature_spectrum"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    columns: ClassVar[tuple[Metric, ...]] = COLUMNS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GRADIENTS})
    examples: int | None = 256
    bands: tuple[float, ...] = (0.0625, 0.125, 0.25, 0.5)
    attention_examples: int = 128
    hessian_examples: int = 64
    steps: int = 30
    probes: int = 10
    rows: int = 16

    def __post_init__(self) -> None:
        lows = {"attention_examples": 0, "hessian_examples": 0, "steps": 1, "probes": 2, "rows": 1}
        for setting, low in lows.items():
            if getattr(self, setting) < low:
                raise _bad(setting, getattr(self, setting), f"give {low} or more")
        if self.examples is not None and self.examples < 1:
            raise _bad("examples", self.examples, "give 1 or more, or null for all")
        edges = list(self.bands)
        if not edges or edges != sorted(set(edges)) or not all(0 < edge < 1 for edge in edges):
            raise _bad("bands", edges, "give cutoffs above 0 and below 1, ascending, each once")

    def sample_size(self) -> int | None:
        return self.examples

    def batch_limit(self) -> int:
        """What the spectra of early blocks leave room for."""
        return ROWS

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong on whole and on filtered images, and what becomes of the tokens from block to block."""
        labels = batch.labels.cpu()
        yield Scores(CLEAN, model.logits(batch).argmax(1).cpu() == labels)
        for metric, conditions, band in filters_part.filters(self.bands):
            with torch.no_grad():
                answers = model(filtered(batch.images, band).clamp(0, 1)).argmax(1).cpu()
            yield Scores(metric, answers == labels, conditions)
        if isinstance(model, TorchModel):
            yield from through_depth(model, batch.images)

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Means with pictures; then attention and curvature, each on a part of the images."""
        parts = [through_blocks(model, table, context.seed), self._accuracies(table, context), self._attention(model, context), self._curvature(model, context)]
        findings = [finding for part in parts for finding in part.findings]
        outcomes = [outcome for part in parts for outcome in part.outcomes]
        first = next((i for i, outcome in enumerate(outcomes) if isinstance(outcome, Measurement)), None)
        for i, outcome in enumerate(outcomes):
            yield replace(outcome, extra=(findings_table(findings), *outcome.extra)) if i == first and isinstance(outcome, Measurement) else outcome

    def _accuracies(self, table: ScoreTable, context: Context) -> Part:
        return filters_part.accuracies(table, self.bands, context.seed) if context.checkpoint.trained else filters_part.untrained(self.bands)

    def _attention(self, model: Model, context: Context) -> Part:
        if not self.attention_examples:
            return Part()
        if not isinstance(model, TorchModel):
            return nothing(attention_part.METRICS, deployed("attention within the network"))
        table, network = _attention_table(model, _some(context, self.attention_examples), context), type(model.network).__name__
        return attention_part.without(network) if table is None else attention_part.by_layer(table, network, context.seed)

    def _curvature(self, model: Model, context: Context) -> Part:
        if not self.hessian_examples:
            return Part()
        if not isinstance(model, TorchModel):
            return nothing(curvature_part.METRICS, deployed("gradients"))
        (batch,) = _some(context, self.hessian_examples).batches(self.hessian_examples)
        hessian = LossHessian(model, batch.images, batch.labels, self.rows)
        return curvature_part.curvature(hessian, self.steps, self.probes, context.seed, context.scratch, context.deadline.check)


def _attention_table(model: TorchModel, images: Examples, context: Context) -> AttentionTable | None:
    """The attention of every layer on the images, kept on disk; ``None`` where the network shows none."""
    (first,) = images.subset(1, context.seed).batches(1)
    layers = layers_of(_attention_of(model, first))
    if not layers:
        return None
    log = RowLog(context.scratch / "attention.f64", sum(layer.width for layer in layers), "float64")
    size = min(context.batch_size, ATTENTION_ROWS)
    rows = recorded(log, images, size, lambda batch: rows_of(_attention_of(model, batch)), context.deadline, context.progress)
    return AttentionTable(layers, rows)


def _attention_of(model: TorchModel, batch: Batch) -> Sequence[LayerAttention]:
    images = batch.images.to(model.device)
    with torch.no_grad(), capture_attention(model.network) as held, attention_watched(model.network, images, held.clear) as found:
        model(images)
    return found


def _some(context: Context, n: int) -> Examples:
    assert context.examples is not None  # the runner gives an ExampleEvaluator its examples
    return context.examples.subset(n, context.seed)


def _bad(setting: str, value: object, hint: str) -> SettingsError:
    return SettingsError("bad-setting", f"the setting {setting} of feature_spectrum is {value}", hint)
