"""The spectra of weights end to end: what is measured of which model, and why the rest is unsupported."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import timm
import torch
from torch import nn

from efficient360.conformance import Subject, context_of, subject
from efficient360.core.figures import Curve, Table
from efficient360.core.measurement import Failure, Measurement, Outcome
from efficient360.dimensions.spectral import DIMENSION
from efficient360.errors import OutOfTime, SettingsError, Unsupported
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.weight_spectrum import WeightSpectrum
from efficient360.execution.plan import configure
from efficient360.models.checkpoint import Origin
from efficient360.models.model import PixelsToLogits, TorchModel


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def outcomes(evaluator: WeightSpectrum, model: TorchModel, context: Context) -> dict[str, Outcome]:
    return {o.metric.name: o for o in evaluator.evaluate(model, context) if o.metric}


def wrapped(network: nn.Module) -> TorchModel:
    return TorchModel(PixelsToLogits(network, [0.5] * 3, [0.5] * 3, None).eval().requires_grad_(False), (3, 32, 32), 7)


def codes(results: dict[str, Outcome]) -> dict[str, str]:
    return {name: o.code for name, o in results.items() if isinstance(o, Failure)}


def value(results: dict[str, Outcome], name: str) -> float:
    outcome = results[name]
    assert isinstance(outcome, Measurement), outcome
    return outcome.value


def test_the_numbers_are_those_of_numpy(on: Subject, tmp_path: Path) -> None:
    results = outcomes(WeightSpectrum(smallest=16, images=4), on.model, context_of(on, tmp_path, 8))
    weights = {name: p.detach().double().flatten(1).numpy() for name, p in on.model.network.named_parameters() if p.ndim > 1 and name.endswith("weight")}
    parts = [p for name, w in weights.items() for p in (np.split(w, 3) if "qkv" in name else [w])]
    values = [np.linalg.svd(part, compute_uv=False) for part in parts]
    stable = [float((v**2).sum() / v[0] ** 2) for v in values]
    assert value(results, "stable_rank_share") == pytest.approx(np.mean([s / len(v) for s, v in zip(stable, values, strict=True)]))
    assert value(results, "largest_spectral_norm") == pytest.approx(max(v[0] for v in values))
    random = [np.prod(p.shape) / np.square(np.sqrt(p.shape).sum()) for p in parts]
    ratios = [s / r for s, r, p in zip(stable, random, parts, strict=True) if min(p.shape) >= 8]
    assert value(results, "stable_rank_ratio") == pytest.approx(np.mean(ratios))
    assert value(results, "log10_norm_product") == pytest.approx(sum(np.log10(v[0]) for v in values) + np.log10(2) + 2 * np.log10(1.1290))
    ratio, alpha = results["stable_rank_ratio"], results["alpha"]
    assert isinstance(ratio, Measurement)
    assert isinstance(alpha, Measurement)
    assert alpha.n == len(ratios)
    assert not codes(results).keys() - {"log10_normalised_margin"}, "random logits have none"
    assert value(results, "lipschitz_lower_bound") >= value(results, "local_lipschitz")
    assert [type(figure) for figure in ratio.extra] == [Curve, Curve, Curve, Table, Table]
    assert all(len(figure.rows) <= 15 for figure in ratio.extra if isinstance(figure, Table))
    assert "no-lipschitz-bound" in [row[0] for row in ratio.extra[-1].rows]


def test_narrow_matrices_have_everything_but_alpha(on: Subject, tmp_path: Path) -> None:
    results = outcomes(WeightSpectrum(images=2), on.model, context_of(on, tmp_path, 8))
    assert {name for name, code in codes(results).items() if code == "narrow-matrices"} == {"alpha", "alpha_within", "alpha_distance"}
    assert "the widest matrix has 32 eigenvalues, and the fit needs at least 128" in results["alpha"].message


def test_random_weights_need_no_data(on: Subject, tmp_path: Path) -> None:
    context = dataclasses.replace(context_of(on, tmp_path, 8), examples=cast(Any, None), training=None)
    results = outcomes(WeightSpectrum(), on.model, context)
    assert {name for name, code in codes(results).items() if code == "no-dataset"} == {"local_lipschitz", "lipschitz_lower_bound", "log10_normalised_margin"}
    assert value(results, "stable_rank_ratio") == pytest.approx(1, abs=0.15)
    random = dataclasses.replace(context_of(on, tmp_path, 8), checkpoint=dataclasses.replace(on.checkpoint, origin=Origin.RANDOM))
    assert codes(outcomes(WeightSpectrum(), on.model, random))["local_lipschitz"] == "random-weights"
    none = outcomes(WeightSpectrum(images=0), on.model, context_of(on, tmp_path, 8))
    assert codes(none)["local_lipschitz"] == codes(none)["log10_normalised_margin"] == "no-images"


class ConstantPrediction(nn.Module):
    """Predicts class 0 for every image, with the same margin."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.linear = nn.Linear(3072, 7)
        with torch.no_grad():
            self.linear.weight.fill_(1e-3)
            self.linear.bias.copy_(torch.tensor([margin, *[0.0] * 6]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1))


def test_the_margin_is_that_of_the_training_images(on: Subject, tmp_path: Path) -> None:
    network = ConstantPrediction(2.0)
    model = wrapped(network)
    training = on.training.select([name for name, label in zip(on.training.ids, on.training.labels, strict=True) if label == 0])
    (batch,) = training.batches(99)

    def predicted(examples: Any) -> Any:
        (batch,) = examples.batches(99)
        return dataclasses.replace(batch, clean_logits=model(batch.images).detach())

    class Predicted:
        def batches(self, size: int, start: int = 0):
            yield predicted(training)

    context = dataclasses.replace(context_of(on, tmp_path, 8), training=training, examples=training, predicted=lambda examples: cast(Any, Predicted()))
    results = outcomes(WeightSpectrum(), model, context)
    norm = np.sqrt(7 * 3072) * 1e-3
    rows = 7 * np.sqrt(3072) * 1e-3
    complexity = norm / 0.5 * (rows / norm)
    length = float(batch.images.flatten(1).double().norm())
    assert value(results, "log10_spectral_complexity") == pytest.approx(np.log10(complexity), rel=1e-5)
    assert value(results, "log10_normalised_margin") == pytest.approx(np.log10(2 / (complexity * length / len(training))), rel=1e-4)
    assert value(results, "local_lipschitz") == pytest.approx(norm / 0.5, rel=1e-4)
    assert results["log10_norm_product"].conditions == {"bound": "no"}, "a module with a forward of its own"


def test_misclassified_images_have_no_margin(on: Subject, tmp_path: Path) -> None:
    network = ConstantPrediction(-2.0)
    model = wrapped(network)
    training = on.training.select([name for name, label in zip(on.training.ids, on.training.labels, strict=True) if label == 0])

    class Predicted:
        def batches(self, size: int, start: int = 0):
            for batch in training.batches(size, start):
                yield dataclasses.replace(batch, clean_logits=model(batch.images).detach())

    context = dataclasses.replace(context_of(on, tmp_path, 8), training=None, examples=training, predicted=lambda examples: cast(Any, Predicted()))
    margin = outcomes(WeightSpectrum(images=2), model, context)["log10_normalised_margin"]
    assert isinstance(margin, Failure)
    assert margin.code == "no-margin"
    assert "evaluated images" in margin.message


def test_a_layer_that_is_zero_leaves_no_product(on: Subject, tmp_path: Path) -> None:
    network = ConstantPrediction(1.0)
    nn.init.zeros_(network.linear.weight)
    results = outcomes(WeightSpectrum(images=0), wrapped(network), context_of(on, tmp_path, 8))
    assert {name for name, code in codes(results).items() if code == "zero-layer"} == {
        "log10_norm_product",
        "log10_spectral_complexity",
        "log10_normalised_margin",
    }
    assert "linear is zero" in results["log10_norm_product"].message
    assert codes(results)["stable_rank_ratio"] == "no-matrices"


class Blind(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits):
        return logits.clone()

    @staticmethod
    def backward(ctx, *gradients):
        raise NotImplementedError("of no use")


class Undifferentiable(ConstantPrediction):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return Blind.apply(super().forward(images))


def test_a_network_without_derivatives_says_so(on: Subject, tmp_path: Path) -> None:
    results = outcomes(WeightSpectrum(images=2), wrapped(Undifferentiable(1.0)), context_of(on, tmp_path, 8))
    assert codes(results)["local_lipschitz"] == "not-differentiable"
    assert "of no use" in results["local_lipschitz"].message
    assert "steps" in results["local_lipschitz"].hint


def test_a_network_without_operators_is_refused(on: Subject, tmp_path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((1, 2, 3))[:, None].expand(-1, 7)

    with pytest.raises(Unsupported) as refused:
        list(WeightSpectrum().evaluate(wrapped(Mean()), context_of(on, tmp_path, 8)))
    assert refused.value.code == "no-operators"


def test_time_is_kept(on: Subject, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        list(WeightSpectrum().evaluate(on.model, dataclasses.replace(context_of(on, tmp_path, 8), deadline=Deadline(0.0))))


def test_an_interrupted_jacobian_goes_on(on: Subject, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 10 and done % 8 == 4:
            raise InterruptedError

    whole = value(outcomes(WeightSpectrum(images=12), on.model, context_of(on, _folder(tmp_path, "whole"), 4)), "local_lipschitz")
    context = context_of(on, _folder(tmp_path, "cut"), 4)
    with pytest.raises(InterruptedError):
        list(WeightSpectrum(images=12).evaluate(on.model, dataclasses.replace(context, progress=stop)))
    assert value(outcomes(WeightSpectrum(images=12), on.model, context), "local_lipschitz") == whole


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


@pytest.mark.parametrize("setting", [{"smallest": 4}, {"images": -1}, {"steps": 1}, {"training_examples": 0}], ids=lambda s: next(iter(s)))
def test_settings_that_make_no_sense_are_refused(setting: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(setting))) as refused:
        configure(WeightSpectrum, setting)
    assert refused.value.code == "bad-setting"


def test_random_weights_score_nothing_and_one_direction_everything() -> None:
    (anchor,) = DIMENSION.anchors
    assert (anchor.score(1.02), anchor.score(0.0), anchor.score(0.25)) == (0, 1, 0.75)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "levit_128s", "efficientvit_b0"])
def test_every_part_of_other_architectures_is_seen(name: str, on: Subject, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name).eval()
    model = TorchModel(PixelsToLogits(network, [0.5] * 3, [0.5] * 3, None).eval().requires_grad_(False), (3, 224, 224), 1000)
    results = outcomes(WeightSpectrum(), model, dataclasses.replace(context_of(on, tmp_path, 8), examples=cast(Any, None), training=None))
    assert value(results, "stable_rank_ratio") == pytest.approx(1, abs=0.15)
    ratio = results["stable_rank_ratio"]
    assert isinstance(ratio, Measurement)
    assert {series.name for figure in ratio.extra[:1] for series in figure.series} >= {"q", "k", "v", "proj"}
    assert "partly-seen" not in [row[0] for row in ratio.extra[-1].rows]
