"""Measuring what compressing a checkpoint did: its accuracy on a data set, its speed and energy in a runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from efficient360.core.measurement import Failure, Status
from efficient360.datasets.class_matching import match_examples
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.runtimes.calibration_images import kept_outputs, probes, program_identity
from efficient360.evaluator import Examples
from efficient360.methods.compression.compress import WrittenCheckpoint
from efficient360.methods.compression.compressor import variant_of
from efficient360.methods.compression.effect import CompressionEffect, compare_accuracy
from efficient360.methods.compression.runtime_effect import default_runtime, measure_in_runtime
from efficient360.methods.compression.weight_traffic import weight_traffic
from efficient360.models.model import PixelsToLogits, TorchModel

OnWork = Callable[[str, int, int], None]
"""Told what is done, and how many of how many steps."""
NO_RUNTIME = "none"


@final
@dataclass(frozen=True)
class EffectPlan:
    """What to measure.

    Args:
        data: The data set; ``None`` leaves accuracy out.
        runtime: Name of a runtime; ``""`` takes the first that is installed where there is a data set; ``none`` measures no time.
        device: ``local``, ``limited:…``, ``ssh://…`` or ``adb://…``.
        seed: Of the images chosen.
        batch_size: Images a forward pass.
    """

    data: DatasetSpec | None
    runtime: str = ""
    device: str = "local"
    seed: int = 0
    batch_size: int = 64


def measure_effect(written: WrittenCheckpoint, plan: EffectPlan, on_work: OnWork) -> CompressionEffect:
    """Accuracy of both networks on the same images, and their time in turns; what can't be measured is a failure with its reason.

    Args:
        written: The compressed checkpoint.
        plan: What to measure.
        on_work: Told of progress.

    Raises:
        DatasetError: The data can't be opened or have other classes.
        SettingsError: No such runtime or device.
        DeviceError: The device can't be used.
    """
    examples, models = _opened(written, plan)
    sizes = written.original_bytes, written.file_bytes
    traffic = weight_traffic(written.model.network, written.compressor, written.compressed)
    if written.checkpoint.spec.random_weights:
        accuracy: Any = Failure(Status.UNSUPPORTED, "random-weights", "the weights are random", "give a trained checkpoint")
    elif examples is None:
        accuracy = Failure(Status.NOT_RUN, "no-dataset", "no data set was given", "add --dataset")
    else:
        accuracy = compare_accuracy(models, examples, written.compressor, sizes, plan.batch_size, lambda done, total: on_work("accuracy", done, total))
    if plan.runtime == NO_RUNTIME or (not plan.runtime and plan.data is None):
        runtime: Any = Failure(Status.NOT_RUN, "no-runtime", "no runtime was asked for", "add --runtime openvino")
    else:
        name = plan.runtime or default_runtime()
        identity = program_identity(written.checkpoint, kept_outputs(models[0]))
        identities = identity, f"{identity} {variant_of(written.compressor)}"
        images = probes(examples, models[0].input_size, plan.seed)
        runtime = measure_in_runtime(models, identities, images, name, plan.device, lambda done, total: on_work(f"time in {name}", done, total))
    return CompressionEffect(written.compressor, *sizes, traffic, accuracy, runtime)


def _opened(written: WrittenCheckpoint, plan: EffectPlan) -> tuple[Examples | None, tuple[TorchModel, TorchModel]]:
    """The examples, and both models with the outputs that these have."""
    if plan.data is None:
        return None, (written.model, _decoded(written, None))
    dataset = open_dataset(plan.data, written.checkpoint, plan.seed)
    examples, match = match_examples(dataset.examples, written.checkpoint, dataset.card, plan.data.class_map, plan.data.class_order)
    original = _with_outputs(written, written.model.network, match.outputs)
    return examples, (original, _decoded(written, match.outputs))


def _decoded(written: WrittenCheckpoint, keep: tuple[int, ...] | None) -> TorchModel:
    return _with_outputs(written, written.compressed.network, keep)


def _with_outputs(written: WrittenCheckpoint, network: nn.Module, keep: tuple[int, ...] | None) -> TorchModel:
    shape, output = written.checkpoint.preprocessing, written.checkpoint.spec.output
    module = PixelsToLogits(network, shape.mean, shape.std, keep, output).eval().requires_grad_(requires_grad=False)
    return TorchModel(module, shape.input_size, written.checkpoint.num_classes if keep is None else len(keep))
