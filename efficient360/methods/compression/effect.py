"""What a compressed checkpoint comes to, in one line: file, weight traffic, accuracy on the same images, speed and energy, or why one is not known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.formatting import MINUS, count, significant
from efficient360.core.measurement import Failure, Interval
from efficient360.evaluator import Examples
from efficient360.methods.compression.compressor import Compressor, describe_strength
from efficient360.methods.compression.figures import images_to_resolve
from efficient360.methods.compression.results import VariantResult
from efficient360.methods.compression.runtime_effect import Ratio, RuntimeEffect
from efficient360.methods.compression.weight_traffic import WeightTraffic
from efficient360.models.model import TorchModel

OnProgress = Callable[[int, int], None]
FINE_LOSS: Final = 0.001
"""A tenth of a point, which published claims about weight clustering name."""


@final
@dataclass(frozen=True)
class CompressionEffect:
    """All that is known of what compressing did.

    Args:
        compressor: With its strength.
        original_bytes: Of the file in float32.
        file_bytes: Of the compressed file.
        traffic: Bytes of weights that an inference reads.
        accuracy: On the same images before and after; or why it was not measured.
        runtime: Time and energy; or why they were not measured.
    """

    compressor: Compressor
    original_bytes: int
    file_bytes: int
    traffic: WeightTraffic
    accuracy: VariantResult | Failure
    runtime: RuntimeEffect | Failure

    def line(self) -> str:
        """Everything in one line."""
        title = describe_strength(self.compressor) or self.compressor.title
        sizes = f"file {significant(self.original_bytes / self.file_bytes)} times smaller; {self._traffic()}"
        return f"{title}: {sizes}; {self._accuracy()}; {self._speed()}"

    def notes(self) -> list[str]:
        """What a reader must know to read the line."""
        notes = []
        if self.traffic.bytewise is not None or self.traffic.ratio > 1:
            notes.append("weight traffic is counted, for a kernel that computes on the stored codes; runtimes on CPUs decode the weights to float32 first")
        if isinstance(self.accuracy, VariantResult) and self.accuracy.discordance and _lost(self.accuracy).low < FINE_LOSS < _lost(self.accuracy).high:
            needed = count(images_to_resolve(self.accuracy, FINE_LOSS))
            notes.append(f"these images don't decide whether more than 0.1 points are lost: that takes about {needed}")
        return notes

    def to_json(self) -> dict[str, Any]:
        """As plain data: numbers in their units (bytes, shares, seconds), each with its interval; failures with code, message and hint."""
        return {
            "compressor": self.compressor.name,
            **dict(self.compressor.strength),
            "original_bytes": self.original_bytes,
            "file_bytes": self.file_bytes,
            "compression_ratio": self.original_bytes / self.file_bytes,
            "weight_traffic_ratio": self.traffic.ratio,
            "weight_traffic_ratio_bytewise": self.traffic.bytewise_ratio,
            "accuracy": _failure(self.accuracy) if isinstance(self.accuracy, Failure) else _accuracy_data(self.accuracy),
            "runtime": _failure(self.runtime) if isinstance(self.runtime, Failure) else _runtime_data(self.runtime),
        }

    def _traffic(self) -> str:
        bytewise = self.traffic.bytewise_ratio
        aligned = "" if bytewise is None else f" ({significant(bytewise)} with a byte a code)"
        return f"weight traffic {significant(self.traffic.ratio)} times less{aligned}"

    def _accuracy(self) -> str:
        if isinstance(self.accuracy, Failure):
            return f"accuracy not measured: {self.accuracy.message}"
        ends = _lost(self.accuracy)
        low, high = (_points(value) for value in (ends.low, ends.high))
        images = count(len(self.accuracy.correct))
        before, after = 100 * self.accuracy.accuracy_before, 100 * self.accuracy.accuracy
        return f"{_points(-self.accuracy.change)} points of top-1 lost ({low} to {high}; {before:.1f} → {after:.1f} % of {images} images)"

    def _speed(self) -> str:
        if isinstance(self.runtime, Failure):
            return f"speed and energy not measured: {self.runtime.message}"
        effect = self.runtime
        cores = f"{effect.threads} thread{'' if effect.threads == 1 else 's'}"
        speed = f"{_times(effect.speed)} times as fast in {effect.runtime} {effect.version} on {effect.device}, {cores}"
        if isinstance(effect.energy, Failure):
            return f"{speed}; energy not measured: {effect.energy.message}"
        return f"{speed}; {_times(effect.energy)} times less energy"


def compare_accuracy(
    models: tuple[TorchModel, TorchModel], examples: Examples, compressor: Compressor, sizes: tuple[int, int], batch_size: int, on_progress: OnProgress
) -> VariantResult:
    """Both networks on the same images.

    Args:
        models: The original and the compressed one.
        examples: Labels in the order of the models' outputs.
        compressor: What made the second.
        sizes: Bytes of the files of both.
        batch_size: Images a forward pass.
        on_progress: Called with ``(done, total)`` images.
    """
    predictions: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    done = 0
    with torch.inference_mode():
        for batch in examples.batches(batch_size):
            for model, seen in zip(models, predictions, strict=True):
                seen.append(model(batch.images).argmax(1).cpu().numpy())
            done += len(batch)
            on_progress(done, len(examples))
    before, after = (np.concatenate(seen) for seen in predictions)
    labels = examples.labels
    return VariantResult(compressor, sizes[1], sizes[0] / sizes[1], 1.0, after == labels, after == before, before == labels)


def _lost(result: VariantResult) -> Interval:
    ends = result.change_interval
    return Interval(-ends.high, -ends.low, ends.method)


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:.2f}".replace("-", MINUS)


def _times(ratio: Ratio) -> str:
    return f"{ratio.value:.2f} ({ratio.interval.low:.2f} to {ratio.interval.high:.2f})"


def _failure(failure: Failure) -> Mapping[str, Any]:
    return {"status": failure.status.value, "code": failure.code, "message": failure.message, "hint": failure.hint}


def _accuracy_data(result: VariantResult) -> Mapping[str, Any]:
    lost = _lost(result)
    return {
        "examples": len(result.correct),
        "before": result.accuracy_before,
        "after": result.accuracy,
        "lost": -result.change,
        "lost_interval": [lost.low, lost.high],
        "interval_method": lost.method,
        "same_answers": float(result.agrees.mean()),
    }


def _runtime_data(effect: RuntimeEffect) -> Mapping[str, Any]:
    return {
        "runtime": effect.runtime,
        "version": effect.version,
        "device": effect.device,
        "threads": effect.threads,
        "original_seconds": effect.original_seconds,
        "compressed_seconds": effect.compressed_seconds,
        "speed": _ratio(effect.speed),
        "energy": _failure(effect.energy) if isinstance(effect.energy, Failure) else _ratio(effect.energy),
    }


def _ratio(ratio: Ratio) -> Mapping[str, Any]:
    return {"value": ratio.value, "interval": [ratio.interval.low, ratio.interval.high], "interval_method": ratio.interval.method}
