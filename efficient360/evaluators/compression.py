"""Approximation: how far the checkpoint can be compressed before its accuracy drops."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from efficient360.core.figures import Figure
from efficient360.core.findings import findings_table
from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, NotEmpty
from efficient360.errors import Unsupported
from efficient360.evaluator import Batch, Context, Evaluator, Examples, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.complexity.mac_count import OperationCount, count_macs, structure_copy
from efficient360.methods.compression import metrics
from efficient360.methods.compression.compressor import CompressedNetwork, conditions_of, uncompressed_bytes, variant_of
from efficient360.methods.compression.figures import accuracy_by_size, accuracy_by_work, validity_warnings, variants_table
from efficient360.methods.compression.results import VariantResult, best_compression, smallest_within
from efficient360.methods.compression.variants import LADDER, parse
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog


def _canonical(variant: str) -> str:
    return variant_of(parse(variant))


Variant = Annotated[str, AfterValidator(_canonical)]
"""``NAME`` or ``NAME:STRENGTH`` of a compressor."""


@final
@dataclass(frozen=True)
class Compression(Evaluator):
    """Size, accuracy and predictions after quantization, weight clustering, pruning, low-rank factorization and token merging, without training after.

    Args:
        variants: Compressors with their strength, ``NAME`` or ``NAME:STRENGTH``.
        examples: At most this many images, a stratified, seeded subset of the split.
        tolerance: Loss of accuracy allowed for the headline variant, 0.01 for a point.
        resamples: Bootstrap resamples behind its interval.
    """

    name: ClassVar[str] = "compression"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = metrics.METRICS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"variants": ("best_compression",), "tolerance": ("best_compression",), "resamples": ()}
    variants: Annotated[tuple[Variant, ...], NotEmpty, EachOnce] = LADDER
    examples: AtLeast1 = 2000
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    resamples: AtLeast2 = 1000

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Evaluate every variant on the same images; one that does not apply to the network is a failure of its own.

        Raises:
            Unsupported: The model is no network in torch, or no variant applies to it.
            OutOfTime: From ``context.deadline``; finished work is kept.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("no-module", f"{type(model).__name__} has no weights that could be compressed", "evaluate the checkpoint itself, without --as")
        examples = context.predicted(context.require_examples().subset(self.examples, context.seed))
        original = _Original(model, np.concatenate([model.logits(batch).cpu().argmax(1).numpy() for batch in examples.batches(context.batch_size)]))
        outcomes = [self._evaluate_variant(index, original, examples, context) for index in range(len(self.variants))]
        results = [outcome for outcome in outcomes if isinstance(outcome, VariantResult)]
        if not results:
            raise Unsupported("no-variants", f"no variant suits {type(model.network).__name__}", "name others under compression.variants")
        best, work = smallest_within(results, self.tolerance), accuracy_by_work(results)
        figures: tuple[Figure, ...] = (
            accuracy_by_size(results, best),
            *([work] if work else []),
            variants_table(results, best, self.tolerance),
            findings_table(list(validity_warnings(results, self.tolerance))),
        )
        yield best_compression(results, self.tolerance, self.resamples, [context.seed, 29], figures)
        for outcome in outcomes:
            yield from outcome.measurements() if isinstance(outcome, VariantResult) else [outcome]

    def _evaluate_variant(self, index: int, original: "_Original", examples: Examples, context: Context) -> VariantResult | Failure:
        context.deadline.check()
        model, compressor = original.model, parse(self.variants[index])
        try:
            compressed = compressor.compress(model.network)
        except Unsupported as error:
            return replace(Failure.of(Status.UNSUPPORTED, error, metrics.ACCURACY), conditions=conditions_of(compressor))
        module = structure_copy(model.module)
        module.network = compressed.network

        def predict(batch: Batch) -> NDArray[Any]:
            with torch.inference_mode():
                logits: Tensor = module(batch.images.to(model.device))
            return logits.argmax(1, keepdim=True).cpu().numpy()

        def on_progress(done: int, total: int) -> None:
            context.progress(index * total + done, len(self.variants) * total)

        log = RowLog(context.scratch / f"{variant_of(compressor).replace(':', '-')}.f32", 1)
        predictions = recorded(log, examples, context.batch_size, predict, context.deadline, on_progress)[:, 0].astype(np.int64)
        file_bytes = len(compressed.file)
        return VariantResult(
            compressor,
            file_bytes,
            original.bytes / file_bytes,
            original.macs_ratio(compressed),
            predictions == examples.labels,
            predictions == original.predictions,
            original.predictions == examples.labels,
        )


@final
@dataclass(frozen=True)
class _Original:
    """The uncompressed model that every variant is compared with, measured once.

    Args:
        model: Of the checkpoint.
        predictions: Its predicted class of each image, int64 ``(n,)``.
    """

    model: TorchModel
    predictions: NDArray[np.int64]

    @cached_property
    def bytes(self) -> int:
        """Bytes of its file in float32."""
        return uncompressed_bytes(self.model.network)

    @cached_property
    def operations(self) -> OperationCount:
        """Operations for one image."""
        return self._count(self.model.network)

    def macs_ratio(self, compressed: CompressedNetwork) -> float | None:
        """Its MACs over those of the compressed network; ``None`` where an operator can't be counted."""
        if not compressed.rebuilt:
            return 1.0
        before, after = self.operations, self._count(compressed.network)
        return None if before.uncounted or after.uncounted else before.macs / after.macs

    def _count(self, network: nn.Module) -> OperationCount:
        return count_macs(network, torch.full((1, *self.model.input_size), 0.5, device=self.model.device))
