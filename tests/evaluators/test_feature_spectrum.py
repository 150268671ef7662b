"""The spectra of features end to end: attention, spectral mixers, an artefact, random weights, settings that make no sense."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from simple_robust import Held
from torch import Tensor, nn

from efficient360.conformance import subject
from efficient360.core.figures import Curve, Table
from efficient360.core.measurement import Failure, Measurement, Outcome, Status
from efficient360.errors import OutOfTime, SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.feature_spectrum import FeatureSpectrum
from efficient360.execution.contract import checked
from efficient360.execution.plan import configure
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model, PixelsToLogits, TorchModel

SIZE = (3, 16, 16)
FAST: Mapping[str, Any] = {"bands": (0.25, 0.5), "steps": 2, "probes": 2, "attention_examples": 4, "hessian_examples": 4}
DEPTH = {"high_frequency_share", "high_frequency_loss", "relative_log_amplitude", "token_similarity", "token_residual", "token_rank"}
ATTENTION = {"attention_response", "attention_entropy", "attention_distance"}
HESSIAN = {"hessian_top_eigenvalue", "hessian_trace"}


class Fourier(nn.Module):
    """Mixes tokens by a Fourier transform without any weight (FNet)."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.fft.fft2(tokens, dim=(1, 2)).real / 8


class GlobalFilter(nn.Module):
    """Multiplies the spectrum of a 4 × 4 map by learnt weights (GFNet)."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.complex_weight = nn.Parameter(torch.full((4, 3, 8, 2), keep))
        self.complex_weight.data[..., 1] = 0
        self.complex_weight.data[0, 0, :, 0] = 1

    def forward(self, tokens: Tensor) -> Tensor:
        maps = torch.fft.rfft2(tokens.unflatten(1, (4, 4)), dim=(1, 2)) * torch.view_as_complex(self.complex_weight)
        return torch.fft.irfft2(maps, s=(4, 4), dim=(1, 2)).flatten(1, 2)


class Block(nn.Module):
    def __init__(self, mixer: nn.Module, alone: bool) -> None:
        super().__init__()
        self.mixer, self.first, self.second, self.alone = mixer, nn.Linear(8, 16), nn.Linear(16, 8), alone

    def forward(self, tokens: Tensor) -> Tensor:
        mixed = self.mixer(tokens)
        return mixed if self.alone else tokens + mixed + self.second(nn.functional.gelu(self.first(tokens)))


class Mixing(nn.Module):
    """4 × 4 patches through blocks of a mixer, without attention and without class token."""

    def __init__(self, mixers: Sequence[nn.Module], alone: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.ModuleList([Block(mixer, alone) for mixer in mixers])
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patch(images).flatten(2).mT
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens.mean(1))


class Brightness(nn.Module):
    """Two logits by the mean colour; no tokens anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([5.0, -5.0]))

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))[:, None] * self.weight


class Logits(Model):
    """As an artefact: logits and nothing else."""

    num_classes, input_size = 2, SIZE

    def __call__(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3)) - 0.5
        return torch.stack([mean, -mean], 1)


def model_of(network: nn.Module, classes: int = 3) -> TorchModel:
    for i, parameter in enumerate(network.parameters()):
        if parameter.ndim == 2 or (parameter.ndim == 4 and parameter.shape[-1] == 4):
            parameter.data = 0.4 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
        elif parameter.ndim == 1 and len(parameter) > 2:
            parameter.data = torch.zeros(parameter.shape)
    return TorchModel(PixelsToLogits(network, [0.5] * 3, [0.3] * 3, None).eval().requires_grad_(False), SIZE, classes)


def context_of(model: Model, folder: Path, n: int, origin: Origin = Origin.FILE) -> Context[Any]:
    images = torch.rand((n, *SIZE), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(images)
    spec = CheckpointSpec("x", random_weights=origin is Origin.RANDOM)
    checkpoint = Checkpoint(spec, "x", "x", {}, origin, None, "", Preprocessing(SIZE, (0, 0, 0), (1, 1, 1)), model.num_classes)
    return Context(checkpoint, Held(images, logits.argmax(1).numpy(), logits, range(n)), None, 0, 64, Deadline(), folder)


def measured(evaluator: FeatureSpectrum, model: Model, folder: Path, n: int = 6, origin: Origin = Origin.FILE) -> dict[str, Outcome]:
    """Outcomes by metric, with the cutoff or band where there is one."""
    context = context_of(model, folder, n, origin)
    assert context.examples is not None
    table = score_all(evaluator, model, context.examples, context, context.progress)
    results = checked(evaluator, outcomes_of(evaluator, model, table, context))
    return {" ".join([o.metric.name, *map(str, o.conditions.values())]): o for o in results if o.metric is not None}


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Measurement), outcome
    return outcome.value


def code(outcome: Outcome) -> str:
    assert isinstance(outcome, Failure)
    assert outcome.status is Status.UNSUPPORTED
    return outcome.code


@pytest.mark.parametrize("mixer", [Fourier(), GlobalFilter(0.5)], ids=["FNet", "GFNet"])
def test_spectral_mixers_have_all_but_attention(mixer: nn.Module, tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(**FAST), model_of(Mixing([mixer, mixer])), tmp_path)
    assert {name for name, o in results.items() if isinstance(o, Failure)} == ATTENTION
    assert {code(results[name]) for name in ATTENTION} == {"no-attention"}
    assert results.keys() >= DEPTH | HESSIAN
    assert value(results["low_pass_accuracy 0.5"]) <= 1


def test_a_filter_that_halves_all_but_the_mean_flattens_the_tokens_block_by_block(tmp_path: Path) -> None:
    once, thrice = ([GlobalFilter(0.5) for _ in range(n)] for n in (1, 3))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shallow = measured(FeatureSpectrum(**FAST), model_of(Mixing(once, alone=True)), tmp_path / "a")
    deep = measured(FeatureSpectrum(**FAST), model_of(Mixing(thrice, alone=True)), tmp_path / "b")
    # each block takes half the amplitude of every frequency but the mean, and leaves their shares
    down = value(deep["relative_log_amplitude"]) - value(shallow["relative_log_amplitude"])
    assert down == pytest.approx(2 * torch.tensor(0.5).log().item(), abs=1e-3)
    assert value(deep["high_frequency_loss"]) == pytest.approx(0, abs=1e-6)
    assert value(deep["high_frequency_share"]) == pytest.approx(value(shallow["high_frequency_share"]), abs=1e-6)
    assert value(deep["token_residual"]) < value(shallow["token_residual"])
    assert code(shallow["high_frequency_loss"]) == "one-block"


def test_a_filter_that_keeps_only_the_mean_leaves_equal_tokens_which_is_a_finding(tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(**FAST), model_of(Mixing([GlobalFilter(1.0), GlobalFilter(0.0)], alone=True)), tmp_path)
    assert value(results["token_similarity"]) == pytest.approx(1, abs=1e-6)
    assert value(results["token_rank"]) == pytest.approx(1, abs=1e-3)
    first = results["high_frequency_share"]
    assert isinstance(first, Measurement)
    table = first.extra[0]
    assert isinstance(table, Table)
    assert table.rows[0][0] == "similar-tokens"
    assert "mean cosine similarity of 1.00" in str(table.rows[0][1])


def test_a_vision_transformer_has_every_metric_and_a_figure_of_each_part(tmp_path: Path) -> None:
    on = subject()
    context = Context(on.checkpoint, on.examples, None, 0, 64, Deadline(), tmp_path)
    evaluator = FeatureSpectrum(**FAST)
    table = score_all(evaluator, on.model, on.examples, context, context.progress)
    outcomes = outcomes_of(evaluator, on.model, table, context)
    assert all(isinstance(o, Measurement) and o.interval is not None for o in outcomes)
    assert {o.metric.name for o in outcomes if o.metric} == {metric.name for metric in evaluator.metrics}
    drawn = [figure for o in outcomes if isinstance(o, Measurement) for figure in o.extra]
    assert len([f for f in drawn if isinstance(f, Curve)]) == 6
    assert len([f for f in drawn if isinstance(f, Table)]) == 2


def test_a_network_without_blocks_has_filtered_accuracy_and_curvature(tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(**FAST), model_of(Brightness(), 2), tmp_path)
    assert {code(results[name]) for name in DEPTH} == {"no-token-maps"}
    assert {code(results[name]) for name in ATTENTION} == {"no-attention"}
    # the mean colour passes every filter, and it is all that this network looks at
    assert value(results["high_pass_accuracy 0.25"]) == value(results["low_pass_accuracy 0.25"]) == value(results["band_pass_accuracy 0.25 0.5"]) == 1
    assert isinstance(results["hessian_trace"], Measurement)


def test_an_artefact_has_filtered_accuracy_only(tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(**FAST), Logits(), tmp_path)
    assert {code(results[name]) for name in DEPTH | ATTENTION | HESSIAN} == {"deployed"}
    assert isinstance(results["low_pass_accuracy 0.25"], Measurement)


def test_random_weights_have_no_accuracy(tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(**FAST), model_of(Mixing([Fourier(), Fourier()])), tmp_path, origin=Origin.RANDOM)
    assert code(results["low_pass_accuracy 0.25"]) == code(results["band_pass_accuracy 0.25 0.5"]) == "random-weights"
    assert {name for name, o in results.items() if isinstance(o, Measurement)} >= DEPTH


def test_parts_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    results = measured(FeatureSpectrum(bands=(0.5,), attention_examples=0, hessian_examples=0), model_of(Mixing([Fourier(), Fourier()])), tmp_path)
    assert results.keys() == DEPTH | {"low_pass_accuracy 0.5", "high_pass_accuracy 0.5"}


def test_the_curvature_stops_at_the_deadline(tmp_path: Path) -> None:
    model, evaluator = model_of(Mixing([Fourier(), Fourier()])), FeatureSpectrum(**FAST)
    context = context_of(model, tmp_path, 6)
    assert context.examples is not None
    table = score_all(evaluator, model, context.examples, context, context.progress)
    with pytest.raises(OutOfTime):
        outcomes_of(evaluator, model, table, replace(context, deadline=Deadline(0.0)))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bands", []),
        ("bands", [0.5, 0.25]),
        ("bands", [0.0, 0.5]),
        ("bands", [0.5, 1.0]),
        ("bands", [0.5, 0.5]),
        ("examples", 0),
        ("attention_examples", -1),
        ("hessian_examples", -1),
        ("steps", 0),
        ("probes", 1),
        ("rows", 0),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"the setting {setting} of feature_spectrum") as caught:
        configure(FeatureSpectrum, {setting: value})
    assert caught.value.code == "bad-setting"


def test_all_examples_may_be_asked_for() -> None:
    assert configure(FeatureSpectrum, {"examples": None}).sample_size() is None
