"""Robust accuracy end to end: linear models against theory, masked gradients reported, settings refused."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from simple_robust import exact_radii, examples_of, linear_model, measured

from efficient360.core.figures import Curve, Gallery, Table
from efficient360.core.measurement import Failure, Measurement
from efficient360.errors import CheckpointError, PluginError, SettingsError
from efficient360.evaluators.adversarial import Adversarial
from efficient360.execution.plan import configure
from efficient360.models.model import PixelsToLogits, TorchModel

FAST: dict[str, Any] = {"scout_linf": (), "attacks": ("apgd-ce", "apgd-t"), "steps": 30, "targets": 4}


@pytest.mark.parametrize(("setting", "dual"), [("linf", 1.0), ("l2", 2.0)])
def test_robust_accuracy_is_theorys_at_every_epsilon(setting: str, dual: float, tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 40, wrong=4)
    radii = exact_radii(model, images, labels, dual).numpy()
    scale = 255 if setting == "linf" else 1
    # between radii, not at one: there rounding decides
    ordered = np.sort(radii[radii > 0])
    grid = tuple(float(scale * (ordered[i] + ordered[i + 1]) / 2) for i in (5, 14, 25))
    outcomes = measured(
        Adversarial(**FAST, linf=grid if setting == "linf" else (), l2=grid if setting == "l2" else Adversarial().l2), model, images, labels, tmp_path
    )
    for epsilon in grid:
        label = f"{epsilon:.4g}/255" if setting == "linf" else f"{epsilon:.4g}"
        outcome = outcomes["robust_accuracy", setting, label, "worst case"]
        assert isinstance(outcome, Measurement)
        assert outcome.value == pytest.approx((radii > epsilon / scale).mean())
        assert outcome.n == 40


def test_a_model_behind_a_rounding_is_reported_as_masked(tmp_path: Path) -> None:
    model = linear_model(levels=24)
    images, labels = examples_of(model, 24)
    evaluator = Adversarial(linf=(16,), scout_linf=(), attacks=("apgd-ce", "apgd-t", "square"), steps=10, targets=4, queries=300)
    outcomes = measured(evaluator, model, images, labels, tmp_path)
    worst, blind = outcomes["robust_accuracy", "linf", "16/255", "worst case"], outcomes["robust_accuracy", "linf", "16/255", "apgd-ce + apgd-t"]
    assert isinstance(worst, Measurement)
    assert isinstance(blind, Measurement)
    assert worst.value < blind.value
    codes = [row[0] for figure in worst.extra if isinstance(figure, Table) for row in figure.rows]
    assert codes == ["zero-gradients", "masked-gradients"]


def test_a_sound_model_has_no_findings_and_shows_adversarial_examples(tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 24)
    outcomes = measured(Adversarial(linf=(1, 32), shown=2, **FAST), model, images, labels, tmp_path)
    worst = outcomes["robust_accuracy", "linf", "32/255", "worst case"]
    assert isinstance(worst, Measurement)
    curve, gallery, table = worst.extra
    assert isinstance(curve, Curve)
    assert curve.series[0].x == (0.0, 1.0, 32.0)
    assert curve.series[0].y[0] == 1.0
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 6
    assert isinstance(table, Table)
    assert table.rows == (("none", "all checks passed", ""),)


def test_separate_attacks_have_an_accuracy_each(tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 24)
    outcomes = measured(Adversarial(linf=(4, 16), separately=True, **FAST), model, images, labels, tmp_path)
    for epsilon in ("4/255", "16/255"):
        each = [outcomes["robust_accuracy", "linf", epsilon, name] for name in ("apgd-ce", "apgd-t")]
        worst = outcomes["robust_accuracy", "linf", epsilon, "worst case"]
        assert isinstance(worst, Measurement)
        assert all(isinstance(outcome, Measurement) and worst.value <= outcome.value for outcome in each)


def test_small_epsilons_can_be_scouted_with_the_first_attack_alone(tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 24)
    evaluator = Adversarial(scout_linf=(2, 8), linf=(16,), attacks=("apgd-ce", "apgd-t"), steps=30, targets=4, shown=0)
    outcomes = measured(evaluator, model, images, labels, tmp_path)
    keys = {key[2:] for key in outcomes if key[0] == "robust_accuracy"}
    assert keys == {("2/255", "apgd-ce"), ("8/255", "apgd-ce"), ("16/255", "apgd-ce"), ("16/255", "worst case")}


def test_a_model_that_is_always_wrong_has_no_median(tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 12, wrong=12)
    outcomes = measured(Adversarial(linf=(1,), **FAST), model, images, labels, tmp_path)
    worst, median = outcomes["robust_accuracy", "linf", "1/255", "worst case"], outcomes["median_epsilon", "linf", "", "worst case"]
    assert isinstance(worst, Measurement)
    assert worst.value == 0
    assert isinstance(median, Failure)
    assert (median.code, median.message) == ("median-beyond", "no image is classified correctly")


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 7, pytest.param(64, marks=pytest.mark.slow)])
def test_batch_size_changes_nothing(batch_size: int, tmp_path: Path) -> None:
    from efficient360.conformance import subject

    on = subject()
    images = torch.rand((20, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    labels = on.model(images).argmax(1)
    evaluator = Adversarial(linf=(2, 4), scout_linf=(1,), attacks=("apgd-ce", "apgd-t"), steps=6, targets=2, rows=8)
    whole = measured(evaluator, on.model, images, labels, tmp_path / "whole")
    parts = measured(evaluator, on.model, images, labels, tmp_path / "parts", batch_size)
    assert {key: getattr(outcome, "value", None) for key, outcome in parts.items()} == {key: getattr(outcome, "value", None) for key, outcome in whole.items()}


def test_an_attack_of_ones_own_joins_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "brighten.py").write_text(
        textwrap.dedent('''
        from dataclasses import dataclass
        from typing import ClassVar

        from efficient360.methods.adversarial.attack import Attack, AttackResult, misclassified
        from efficient360.methods.adversarial.threat_model import Norm


        @dataclass(frozen=True)
        class Brighten(Attack):
            """The brightest image within the ball."""

            name: ClassVar[str] = "brighten"
            title: ClassVar[str] = "Brighten"
            source: ClassVar[str] = "ours"
            gradients: ClassVar[bool] = False
            norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF})

            def run(self, victim, threat, subjects):
                moved = threat.project(subjects.images + 1, subjects.images)
                return AttackResult(moved, misclassified(victim.logits(moved), subjects.labels))


        ATTACK = Brighten()
    ''')
    )
    model = linear_model()
    images, labels = examples_of(model, 24)
    outcomes = measured(Adversarial(linf=(16,), scout_linf=(), attacks=(str(tmp_path / "brighten.py"),)), model, images, labels, tmp_path / "run")
    brightened = model((images + 16 / 255).clamp(0, 1)).argmax(1)
    worst = outcomes["robust_accuracy", "linf", "16/255", "worst case"]
    assert isinstance(worst, Measurement)
    assert worst.value == pytest.approx(float((brightened == labels).float().mean()))
    assert worst.value < 1


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"scout_linf": [], "linf": [2, 1]}, "linf"),
        ({"scout_linf": [], "linf": [0, 1]}, "linf"),
        ({"scout_linf": [], "linf": [2, 2]}, "linf"),
        ({"l2": [0.5, -1]}, "l2"),
        ({"scout_linf": [2, 1]}, "scout_linf"),
        ({"l2": [1], "scout_l2": [0.5, 0]}, "scout_l2"),
        ({"scout_linf": [1, 2], "linf": [2, 4]}, "linf"),
        ({"scout_l2": [0.5], "l2": [0.25, 1]}, "l2"),
        ({"linf": []}, "no ε"),
        ({"steps": 0}, "steps"),
        ({"targets": 0}, "targets"),
        ({"queries": 0}, "queries"),
        ({"rows": 0}, "rows"),
        ({"shown": -1}, "shown"),
        ({"examples": 0}, "examples"),
        ({"attacks": []}, "attacks"),
        ({"attacks": ["square", "square"]}, "attacks"),
        ({"attacks": ["rays"], "l2": [0.5]}, "rays"),
        ({"attacks": ["fgsm"], "l2": [0.5]}, "fgsm"),
        ({"attacks": ["cw"]}, "cw"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Adversarial, settings)
    assert caught.value.code == "bad-setting"
    assert setting in caught.value.message


@pytest.mark.parametrize(("name", "offered"), [("autoattack", ("apgd-ce", "mifgsm")), ("squire", ("did you mean square?",))])
def test_an_unknown_attack_is_named_with_the_known_ones(name: str, offered: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as caught:
        configure(Adversarial, {"attacks": [name]})
    assert caught.value.code == "unknown-attack"
    assert name in caught.value.message
    assert all(text in caught.value.hint for text in offered)


def test_two_files_with_attacks_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("from efficient360.methods.adversarial.square import Square\nATTACK = Square()\n")
    with pytest.raises(SettingsError) as caught:
        configure(Adversarial, {"attacks": [str(tmp_path / "a.py"), str(tmp_path / "b.py")]})
    assert caught.value.code == "bad-setting"


def test_attacks_of_torchattacks_stand_beside_ours(tmp_path: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 24, wrong=2)
    evaluator = Adversarial(linf=(4, 16), scout_linf=(), attacks=("fgsm", "pgd", "apgd-t"), separately=True, steps=30, targets=4)
    outcomes = measured(evaluator, model, images, labels, tmp_path)
    for epsilon in ("4/255", "16/255"):
        fgsm, pgd, apgd, worst = (outcomes["robust_accuracy", "linf", epsilon, name].value for name in ("fgsm", "pgd", "apgd-t", "worst case"))
        assert worst == apgd <= pgd <= fgsm <= 22 / 24
    assert outcomes["robust_accuracy", "linf", "16/255", "fgsm"].value < 22 / 24


@pytest.mark.parametrize(("text", "code"), [(None, "no-plugin"), ("1/0", "broken-plugin"), ("x = 1", "no-attack")])
def test_a_broken_attack_file_is_named(text: str | None, code: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PluginError) as caught:
        Adversarial(attacks=(str(path),))
    assert caught.value.code == code
    assert "mine.py" in caught.value.message


def test_a_surrogate_finds_what_masked_gradients_hide(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficient360.methods.adversarial import gradient_masking

    hidden, plain = linear_model(levels=24), linear_model()
    images, labels = examples_of(hidden, 24)
    monkeypatch.setattr(gradient_masking, "load_model", lambda *_: plain)
    evaluator = Adversarial(linf=(16,), scout_linf=(), attacks=("apgd-ce",), steps=10, surrogate=str(tiny))
    worst = measured(evaluator, hidden, images, labels, tmp_path)["robust_accuracy", "linf", "16/255", "worst case"]
    assert isinstance(worst, Measurement)
    codes = [row[0] for figure in worst.extra if isinstance(figure, Table) for row in figure.rows]
    assert codes == ["zero-gradients", "transfer"]


def test_a_surrogate_of_another_kind_is_refused(tmp_path: Path, tiny: Path) -> None:
    model = linear_model()
    images, labels = examples_of(model, 8)
    with pytest.raises(SettingsError) as caught:
        measured(Adversarial(linf=(0.01,), surrogate=str(tiny), **FAST), model, images, labels, tmp_path)
    assert caught.value.code == "bad-surrogate"
    assert "tiny.safetensors has 10 classes" in caught.value.message
    with pytest.raises(CheckpointError):
        measured(Adversarial(linf=(0.01,), surrogate="no-such-model", **FAST), model, images, labels, tmp_path / "again")


def test_outputs_that_are_probabilities_or_random_are_reported(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network
            self.generator = torch.Generator().manual_seed(0)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            noisy: torch.Tensor = self.network(pixels + 0.02 * torch.randn(pixels.shape, generator=self.generator)).softmax(1)
            return noisy

    plain = linear_model()
    module = PixelsToLogits(Odd(plain.network), [0.0] * 3, [1.0] * 3, None).eval().requires_grad_(False)
    images, labels = examples_of(plain, 16)
    worst = measured(Adversarial(linf=(1,), shown=0, **FAST), TorchModel(module, plain.size, plain.classes), images, labels, tmp_path)[
        "robust_accuracy", "linf", "1/255", "worst case"
    ]
    assert isinstance(worst, Measurement)
    codes = [row[0] for figure in worst.extra if isinstance(figure, Table) for row in figure.rows]
    assert codes[:2] == ["random-forward", "softmax-outputs"]
