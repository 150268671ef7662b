"""Recovery training on a network of seconds: what it may and may not change, and that a kill changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from efficient360.errors import SettingsError
from efficient360.methods.distillation import recovery
from efficient360.methods.distillation.augmentation import augmented, batch_of, resized
from efficient360.methods.distillation.progress_file import load_progress
from efficient360.methods.distillation.recovery import Recovery, divergence, recover, schedule
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 16, 16)


def vit(seed: int, **arguments: Any) -> TorchModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model("vit_tiny_patch16_224", img_size=16, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=4, **arguments)
        nn.init.normal_(network.head.weight, std=0.5)
    return TorchModel(PixelsToLogits(network, (0.5,) * 3, (0.25,) * 3, None).eval().requires_grad_(requires_grad=False), SIZE, 4)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(0, 256, (96, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def teacher() -> TorchModel:
    return vit(0)


@pytest.fixture(scope="module")
def student(teacher: TorchModel) -> TorchModel:
    """The teacher with noise on its weights."""
    noisy = vit(0)
    generator = torch.Generator().manual_seed(3)
    for parameter in noisy.module.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return noisy


def same(left: TorchModel, right: TorchModel) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left.module.state_dict().values(), right.module.state_dict().values(), strict=True))


def test_the_student_answers_more_like_its_teacher(student: TorchModel, teacher: TorchModel, images: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in student.module.state_dict().items()}
    told: list[tuple[int, int]] = []
    trained = recover(student, teacher, images, Recovery(steps=40, batch=16, learning_rate=2e-3), on_progress=lambda done, of: told.append((done, of)))
    fresh = torch.rand(200, *SIZE, generator=torch.Generator().manual_seed(9))
    away = [float(divergence(each(fresh), teacher(fresh), 1.0)) for each in (student, trained.model)]
    assert away[1] < 0.6 * away[0]
    assert trained.facts["held_back_divergence"][1] < trained.facts["held_back_divergence"][0]
    assert (trained.facts["held_back_images"], trained.facts["training_images"], trained.facts["steps"]) == (12, 84, 40)
    assert told == [(done, 40) for done in range(1, 41)]
    assert all(torch.equal(before[name], tensor) for name, tensor in student.module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in trained.model.module.parameters())
    assert not trained.model.module.training


def test_the_same_seed_gives_the_same_network_and_another_another(student: TorchModel, teacher: TorchModel, images: Tensor) -> None:
    torch.manual_seed(1)
    first = recover(student, teacher, images, Recovery(steps=5, batch=8))
    torch.manual_seed(2)
    again = recover(student, teacher, images, Recovery(steps=5, batch=8))
    other = recover(student, teacher, images, Recovery(steps=5, batch=8, seed=1))
    assert same(first.model, again.model)
    assert not same(first.model, other.model)


def test_a_kill_in_the_middle_changes_nothing(
    student: TorchModel, teacher: TorchModel, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, so that its random state counts too."""
    dropping = vit(0, proj_drop_rate=0.2)
    whole = recover(dropping, teacher, images, Recovery(steps=12, batch=8, learning_rate=1e-3))
    monkeypatch.setattr(recovery, "SAVE_EVERY", 0.0)

    def killed_at(step: int) -> Callable[[int, int], None]:
        def look(done: int, _: int) -> None:
            if done == step:
                raise KeyboardInterrupt

        return look

    for step in (3, 4, 9):
        with pytest.raises(KeyboardInterrupt):
            recover(dropping, teacher, images, Recovery(steps=12, batch=8, learning_rate=1e-3), file=tmp_path / "state", on_progress=killed_at(step))
    seen: list[int] = []
    resumed = recover(
        dropping, teacher, images, Recovery(steps=12, batch=8, learning_rate=1e-3), file=tmp_path / "state", on_progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == 9  # the step that the kill interrupted is done once more
    assert same(resumed.model, whole.model)
    assert not (tmp_path / "state").exists()


def test_a_state_of_another_training_or_a_damaged_one_is_not_taken_up(
    student: TorchModel, teacher: TorchModel, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SAVE_EVERY", 0.0)
    path = tmp_path / "state"

    def kill(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recover(student, teacher, images, Recovery(steps=3, batch=8), file=path, on_progress=kill)
    assert load_progress(path, "another") is None
    path.write_bytes(path.read_bytes()[:-10])
    damaged = recover(student, teacher, images, Recovery(steps=3, batch=8), file=path)
    assert same(damaged.model, recover(student, teacher, images, Recovery(steps=3, batch=8)).model)
    assert load_progress(tmp_path / "none", "any") is None


def test_training_that_only_harms_is_not_kept(teacher: TorchModel, images: Tensor) -> None:
    trained = recover(teacher, teacher, images, Recovery(steps=4, batch=8, learning_rate=0.5))
    assert trained.facts["best_step"] == 0
    assert same(trained.model, teacher)


def test_what_a_cut_holds_is_held_in_every_step(student: TorchModel, teacher: TorchModel, images: Tensor) -> None:
    def constraint(network: nn.Module) -> Callable[[], None]:
        head: Any = network.get_submodule("head").weight

        def clear() -> None:
            head.data.zero_()

        return clear

    trained = recover(student, teacher, images, Recovery(steps=6, batch=16, learning_rate=1e-3), constraint)
    if trained.facts["best_step"]:
        head: Any = trained.model.network.get_submodule("head")
        assert not head.weight.any()
    held = recover(trained.model, teacher, images, Recovery(steps=2, batch=16), constraint)
    assert held.facts["steps"] == 2


def test_a_student_of_smaller_images_and_without_features_of_that_width(teacher: TorchModel, images: Tensor) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    small = TorchModel(PixelsToLogits(network, (0.5,) * 3, (0.25,) * 3, None).eval().requires_grad_(requires_grad=False), (3, 8, 8), 4)
    trained = recover(small, teacher, images, Recovery(steps=30, batch=16, learning_rate=1e-2))
    assert trained.model.size == (3, 8, 8)
    norm: Any = trained.model.network.get_submodule("1")
    assert norm.running_mean.any()  # it saw the training images
    assert trained.facts["held_back_divergence"][1] < trained.facts["held_back_divergence"][0]


def test_minutes_become_steps(student: TorchModel, teacher: TorchModel, images: Tensor) -> None:
    trained = recover(student, teacher, images, Recovery(minutes=0.01, batch=8))
    assert trained.facts["steps"] >= 1
    by_steps = recover(student, teacher, images, Recovery(steps=trained.facts["steps"], batch=8))
    assert same(trained.model, by_steps.model)


@pytest.mark.parametrize("settings", [{}, {"steps": -1, "minutes": 1}, {"steps": 1, "batch": 1}, {"steps": 1, "learning_rate": 0}])
def test_no_budget_is_told(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        Recovery(**settings)
    assert error.value.code == "bad-recovery"


def test_too_few_images_are_told(student: TorchModel, teacher: TorchModel, images: Tensor) -> None:
    with pytest.raises(SettingsError) as error:
        recover(student, teacher, images[:15], Recovery(steps=1))
    assert error.value.code == "bad-recovery"


def test_the_divergence_by_hand() -> None:
    # Probabilities (3/4, 1/4) where (1/2, 1/2) were wanted: ½·log(2/3) + ½·log 2.
    logits, wanted = torch.tensor([[3.0, 1.0]]).log(), torch.zeros(1, 2)
    assert float(divergence(logits, wanted, 1.0)) == pytest.approx(0.5 * (torch.log(torch.tensor(2 / 3)) + torch.log(torch.tensor(2.0))).item())
    # A temperature of 2 takes square roots of the odds: √3 to 1.
    high = 3**0.5 / (1 + 3**0.5)
    by_hand = 4 * 0.5 * (torch.log(torch.tensor(0.5 / high)) + torch.log(torch.tensor(0.5 / (1 - high)))).item()
    assert float(divergence(logits, wanted, 2.0)) == pytest.approx(by_hand, rel=1e-5)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-3)
    assert schedule(52, 99 + 5) == pytest.approx(0.53, abs=0.02)
    assert schedule(0, 1) == 1


def test_images_are_mirrored_and_shifted_by_whole_pixels() -> None:
    images = torch.arange(8 * 3 * 16 * 16.0).reshape(8, 3, 16, 16)
    shown = augmented(images, 0, 7)
    assert torch.equal(shown, augmented(images, 0, 7))
    assert not torch.equal(shown, augmented(images, 0, 8))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    for image, wide in zip(shown, padded, strict=True):
        places = [wide[:, row : row + 16, column : column + 16] for row in range(5) for column in range(5)]
        assert any(torch.equal(image, place) or torch.equal(image.flip(-1), place) for place in places)
    assert torch.equal(batch_of(torch.tensor([[[[255, 0]]]], dtype=torch.uint8), [0]), torch.tensor([[[[1.0, 0.0]]]]))
    assert resized(images, (3, 16, 16)) is images
    assert resized(images / images.max(), (3, 8, 8)).shape == (8, 3, 8, 8)
