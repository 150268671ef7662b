"""Approximation: how far the checkpoint can be compressed before it gets worse."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.core.figures import Figure
from efficient360.core.findings import findings_table
from efficient360.errors import SettingsError, Unsupported
from efficient360.evaluator import Batch, Context, Evaluator, Examples, Failure, Metric, Model, Need, Outcome, Status, TorchModel
from efficient360.methods.complexity.mac_count import OperationCount, count_macs, structure_copy
from efficient360.methods.compression import metrics
from efficient360.methods.compression.best import best, chosen
from efficient360.methods.compression.compressor import Compressed, conditions_of, full_bytes, variant_of
from efficient360.methods.compression.pictures import against_size, against_work, findings, table
from efficient360.methods.compression.trial import Trial
from efficient360.methods.compression.variants import LADDER, parse
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog


@final
@dataclass(frozen=True)
class Compression(Evaluator):
    """Size, accuracy and answers after quantization, weight clustering, pruning, low rank and token merging, without training after.

    Args:
        variants: Ways and strengths, ``NAME`` or ``NAME:STRENGTH``.
        examples: The most images, a stratified, seeded part of the split.
        tolerance: Share of the images' accuracy that the headline variant may lose.
        resamples: Resamples behind its interval, at least 2.
    """

    name: ClassVar[str] = "compression"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = metrics.METRICS
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    variants: tuple[str, ...] = LADDER
    examples: int = 2000
    tolerance: float = 0.01
    resamples: int = 1000

    def __post_init__(self) -> None:
        if not self.variants or len({parse(variant) for variant in self.variants}) < len(self.variants):
            raise self._refused("variants", "name at least one, and each once")
        if self.examples < 1:
            raise self._refused("examples", "give at least 1")
        if not 0 <= self.tolerance < 1:
            raise self._refused("tolerance", "give a share from 0 to below 1; 0.01 is a point")
        if self.resamples < 2:
            raise self._refused("resamples", "give at least 2")

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Try every variant on the same images; one that does not suit the network is a failure of its own.

        Raises:
            Unsupported: The model is no network in torch, or no variant suits it.
            OutOfTime: From ``context.deadline``; what is done is kept.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("no-module", f"{type(model).__name__} has no weights that could be compressed", "evaluate the checkpoint itself, without --as")
        assert context.examples is not None  # EXAMPLES is among the needs
        examples = context.predicted(context.examples.subset(self.examples, context.seed))
        original = _Original(model, np.concatenate([model.logits(batch).cpu().argmax(1).numpy() for batch in examples.batches(context.batch_size)]))
        tried = [self._tried(index, original, examples, context) for index in range(len(self.variants))]
        trials = [one for one in tried if isinstance(one, Trial)]
        if not trials:
            raise Unsupported("no-variants", f"no variant suits {type(model.network).__name__}", "name others under compression.variants")
        winner, work = chosen(trials, self.tolerance), against_work(trials)
        figures: tuple[Figure, ...] = (
            against_size(trials, winner),
            *([work] if work else []),
            table(trials, winner, self.tolerance),
            findings_table(list(findings(trials, self.tolerance))),
        )
        yield best(trials, self.tolerance, self.resamples, [context.seed, 29], figures)
        for one in tried:
            yield from one.measurements() if isinstance(one, Trial) else [one]

    def _tried(self, index: int, original: "_Original", examples: Examples, context: Context) -> Trial | Failure:
        context.deadline.check()
        model, compressor = original.model, parse(self.variants[index])
        try:
            compressed = compressor.compress(model.network)
        except Unsupported as error:
            return replace(Failure.of(Status.UNSUPPORTED, error, metrics.ACCURACY), conditions=conditions_of(compressor))
        module = structure_copy(model.module)
        module.network = compressed.network

        def row(batch: Batch) -> NDArray[Any]:
            with torch.inference_mode():
                logits: Tensor = module(batch.images.to(model.device))
            return logits.argmax(1, keepdim=True).cpu().numpy()

        log = RowLog(context.scratch / f"{variant_of(compressor).replace(':', '-')}.f32", 1)
        told = lambda done, total: context.progress(index * total + done, len(self.variants) * total)  # noqa: E731
        answers = recorded(log, examples, context.batch_size, row, context.deadline, told)[:, 0].astype(np.int64)
        packed = len(compressed.file)
        return Trial(
            compressor,
            packed,
            original.bytes / packed,
            original.work_over(compressed),
            answers == examples.labels,
            answers == original.answers,
            original.answers == examples.labels,
        )

    def _refused(self, setting: str, hint: str) -> SettingsError:
        return SettingsError("bad-setting", f"the setting {setting} of {self.name} is {getattr(self, setting)}", hint)


@final
@dataclass(frozen=True)
class _Original:
    """What every variant is held against, looked at once.

    Args:
        model: The checkpoint's.
        answers: Its answer to each image, int64 ``(n,)``.
    """

    model: TorchModel
    answers: NDArray[np.int64]

    @cached_property
    def bytes(self) -> int:
        """Of its file in float32."""
        return full_bytes(self.model.network)

    @cached_property
    def operations(self) -> OperationCount:
        """Of one image."""
        return self._count(self.model.network)

    def work_over(self, compressed: Compressed) -> float | None:
        """Its multiply-adds over the compressed network's; ``None`` where an operator can't be counted."""
        if not compressed.rebuilt:
            return 1.0
        before, after = self.operations, self._count(compressed.network)
        return None if before.uncounted or after.uncounted else before.macs / after.macs

    def _count(self, network: nn.Module) -> OperationCount:
        return count_macs(network, torch.full((1, *self.model.input_size), 0.5, device=self.model.device))
