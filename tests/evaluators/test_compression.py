import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from efficient360.conformance import Subject, context_of, subject
from efficient360.core.figures import Curve, Table
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.dimensions.approximation import DIMENSION
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline, Failure, Measurement, Model, Outcome
from efficient360.evaluators.compression import Compression
from efficient360.execution.plan import configure
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve

FEW = ("half", "clustering:64", "pruning:50", "low_rank:50", "token_merging:50")


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def run(on: Subject, folder: Path, model: Model | None = None, batch_size: int = 8, **settings: Any) -> list[Outcome]:
    folder.mkdir(exist_ok=True)
    chosen: dict[str, Any] = {"variants": FEW, "resamples": 20} | settings
    return list(Compression(**chosen).evaluate(model or on.model, context_of(on, folder, batch_size)))


def values(found: list[Outcome], metric: str) -> dict[str, float]:
    return {str(o.conditions["compressor"]): o.value for o in found if isinstance(o, Measurement) and o.metric.name == metric}


def test_every_number_of_every_variant(on: Subject, tmp_path: Path) -> None:
    found = run(on, tmp_path)
    first = found[0]
    assert isinstance(first, Measurement)
    assert (first.metric.name, first.n) == ("best_compression", 24)
    size, work, tried, _ = first.extra
    assert isinstance(size, Curve)
    assert isinstance(work, Curve)
    assert isinstance(tried, Table)
    assert [row[0] for row in tried.rows] == ["bfloat16", "Weight clustering", "Pruning", "Low rank", "Token merging"]
    assert [series.name for series in work.series] == ["Low rank", "Token merging", "uncompressed"]
    for metric in ("compression_ratio", "compressed_bytes", "compressed_accuracy", "accuracy_change", "same_answers"):
        assert values(found, metric).keys() == {"half", "clustering", "pruning", "low_rank", "token_merging"}
    assert values(found, "macs_ratio").keys() == {"low_rank", "token_merging"}
    assert values(found, "compression_ratio")["token_merging"] == 1
    before = np.mean([(on.model(batch.images).argmax(1) == batch.labels).float().mean().item() for batch in on.examples.batches(24)])
    for name, accuracy in values(found, "compressed_accuracy").items():
        assert values(found, "accuracy_change")[name] == pytest.approx(accuracy - before, abs=1e-6)


def test_what_is_tried_is_what_is_measured(on: Subject, tmp_path: Path) -> None:
    """Two bits a weight by hand: the network is loaded with them, and answers as the evaluator says."""
    from efficient360.methods.compression.quantization import Quantization

    found = run(on, tmp_path, variants=("quantization:2",))
    module = on.model.module
    network = timm.create_model("vit_tiny_patch16_224", **on.checkpoint.arguments).eval()
    network.load_state_dict(Quantization(2).compress(module.network).network.state_dict())
    batch = next(on.examples.batches(24))
    with torch.inference_mode():
        said = network(module.normalise(batch.images)).argmax(1)
    assert values(found, "compressed_accuracy")["quantization"] == pytest.approx((said == batch.labels).float().mean().item())
    assert values(found, "same_answers")["quantization"] == pytest.approx((said == on.model(batch.images).argmax(1)).float().mean().item())


def test_a_variant_that_does_not_suit_is_a_failure_of_its_own(on: Subject, tmp_path: Path) -> None:
    module = on.model.module
    network = timm.create_model("swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=32, depths=(1, 1), num_heads=(1, 2), num_classes=7).eval()
    swin = dataclasses.replace(on.model, module=type(module)(network, (0.5,) * 3, (0.5,) * 3, None).eval())
    found = run(on, tmp_path, swin)
    (failure,) = [o for o in found if isinstance(o, Failure)]
    assert (failure.code, failure.conditions) == ("no-plain-blocks", {"compressor": "token_merging", "merged": "50 %"})
    assert "SwinTransformer is no plain vision transformer" in failure.message
    with pytest.raises(Unsupported, match="no variant suits SwinTransformer"):
        run(on, tmp_path, swin, variants=("token_merging:20",))


class Artefact(Model):
    num_classes = 7
    input_size = (3, 32, 32)

    def __call__(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 7)


def test_an_artefact_has_no_weights(on: Subject, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="Artefact has no weights that could be compressed"):
        run(on, tmp_path, Artefact())


def test_an_interruption_loses_a_batch_and_changes_nothing(on: Subject, tmp_path: Path) -> None:
    whole = run(on, tmp_path / "whole")
    context = context_of(on, tmp_path, 5)
    done: list[int] = []

    def stop(at: int, _total: int) -> None:
        done.append(at)
        if len(done) == 8:
            raise InterruptedError

    evaluator = Compression(variants=FEW, resamples=20)
    with pytest.raises(InterruptedError):
        list(evaluator.evaluate(on.model, dataclasses.replace(context, progress=stop)))
    told: list[int] = []
    again = list(evaluator.evaluate(on.model, dataclasses.replace(context, progress=lambda at, _total: told.append(at))))
    assert again == whole
    assert (told[0], told[-1], len(told)) == (44, 120, 5 * 5 - 8)


def test_the_deadline_is_kept(on: Subject, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        list(Compression().evaluate(on.model, dataclasses.replace(context_of(on, tmp_path, 8), deadline=Deadline(0.0))))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"variants": []}, "bad-setting"),
        ({"variants": ["half", "half"]}, "bad-setting"),
        ({"variants": ["clustering:64", "clustering:064"]}, "bad-setting"),
        ({"variants": ["zip"]}, "unknown-compressor"),
        ({"variants": ["quantization:16"]}, "bad-strength"),
        ({"examples": 0}, "bad-setting"),
        ({"tolerance": 1.0}, "bad-setting"),
        ({"tolerance": -0.1}, "bad-setting"),
        ({"resamples": 1}, "bad-setting"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], code: str) -> None:
    with pytest.raises(SettingsError) as refused:
        configure(Compression, settings)
    assert refused.value.code == code
    if code == "bad-setting":
        assert next(iter(settings)) in refused.value.message


def test_a_trained_checkpoint_keeps_its_accuracy_with_64_clusters(tmp_path: Path) -> None:
    checkpoint = resolve(CheckpointSpec("digits-vit"))
    model = load_model(checkpoint)
    assert isinstance(model, TorchModel)
    dataset = open_dataset(DatasetSpec("digits", max_examples=600), checkpoint, 0)
    context = Context(checkpoint, dataset.examples, None, 0, 128, Deadline(), tmp_path)
    found = list(Compression(variants=("clustering:64", "clustering:2", "quantization:4"), resamples=50).evaluate(model, context))
    change = {tuple(o.conditions.values()): o for o in found if isinstance(o, Measurement) and o.metric.name == "accuracy_change"}
    kept, lost = change["clustering", 64], change["clustering", 2]
    assert kept.value > -0.005
    assert kept.interval is not None
    assert kept.interval.low < kept.value < kept.interval.high
    assert lost.value < -0.1
    best = found[0]
    assert isinstance(best, Measurement)
    assert 4 < best.value < 8


def test_the_axis_runs_from_half_precision_to_two_bits() -> None:
    (anchor,) = DIMENSION.anchors
    assert [anchor.score(ratio) for ratio in (1, 2, 4, 8, 16, 20)] == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])
