import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_examples import InMemory, bright_disks

from efficient360.errors import OutOfTime, SettingsError
from efficient360.evaluator import Context, Deadline
from efficient360.methods.privacy.member_pairs import MemberPairs
from efficient360.methods.privacy.shadow_models import read_membership, run_shadow_checkpoints, train_shadow_models
from efficient360.methods.privacy.shadow_training import ShadowRecipe, build_shadow
from efficient360.models.building import load_model
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve
from efficient360.storage.pixel_store import stored

ARGUMENTS = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2, "num_classes": 4}
QUICK = ShadowRecipe(epochs=2, batch=10)


def checkpoint() -> Checkpoint:
    shape = Preprocessing((3, 16, 16), (0.5,) * 3, (0.5,) * 3)
    return Checkpoint(CheckpointSpec("x"), "x", "vit_tiny_patch16_224", ARGUMENTS, Origin.FILE, None, "", shape, 4)


def model() -> TorchModel:
    return TorchModel(build_shadow(ShadowRecipe(), checkpoint(), 4, 0).eval().requires_grad_(requires_grad=False), (3, 16, 16), 4)


def context(folder: Path, batch_size: int = 8, deadline: Deadline | None = None) -> Context:
    folder.mkdir(exist_ok=True)
    return Context(checkpoint(), None, None, 0, batch_size, deadline or Deadline(), folder)


def both() -> tuple[MemberPairs, InMemory]:
    training = bright_disks(40, 4, 0, "train")
    return MemberPairs(training.take(np.arange(20)), bright_disks(20, 4, 1, "test")), training.take(np.arange(20, 40))


def test_shadows_are_the_same_whatever_the_batch_size_and_leave_the_global_randomness_alone(tmp_path: Path) -> None:
    pairs, extra = both()
    before = torch.get_rng_state()
    first = train_shadow_models(pairs, extra, 2, QUICK, model(), context(tmp_path / "a", 8))
    assert torch.equal(torch.get_rng_state(), before)
    other = train_shadow_models(pairs, extra, 2, QUICK, model(), context(tmp_path / "b", 3))
    np.testing.assert_array_equal(first.scaled_confidence, other.scaled_confidence)
    assert first.is_member.shape == first.loss.shape == (2, 40)
    np.testing.assert_allclose(first.loss, np.logaddexp(0, -first.scaled_confidence))
    assert not np.array_equal(first.scaled_confidence[0], first.scaled_confidence[1])


def test_an_interrupted_training_of_shadows_goes_on(tmp_path: Path) -> None:
    pairs, extra = both()
    whole = train_shadow_models(pairs, extra, 4, QUICK, model(), context(tmp_path / "a"))
    stop = dataclasses.replace(context(tmp_path / "b"), progress=_stop)
    with pytest.raises(InterruptedError):
        train_shadow_models(pairs, extra, 4, QUICK, model(), stop)
    kept = (tmp_path / "b" / "shadows.f64").stat().st_size
    assert kept == 3 * 40 * 8 * 2
    resumed = train_shadow_models(pairs, extra, 4, QUICK, model(), context(tmp_path / "b"))
    np.testing.assert_array_equal(resumed.scaled_confidence, whole.scaled_confidence)
    np.testing.assert_array_equal(resumed.correct, whole.correct)


def _stop(done: int, total: int) -> None:
    # Each shadow takes 2 epochs of 3 steps: stop in the middle of the third one.
    if total == 24 and done == 15:
        raise InterruptedError


def test_a_spent_time_budget_stops_before_the_next_step(tmp_path: Path) -> None:
    pairs, _ = both()
    with pytest.raises(OutOfTime):
        train_shadow_models(pairs, None, 2, QUICK, model(), context(tmp_path / "a", deadline=Deadline(0.0)))


@pytest.mark.slow
def test_a_shadow_that_overfits_is_surer_of_what_it_was_trained_on(tmp_path: Path) -> None:
    training = bright_disks(60, 4, 0, "train", noise=0.8)
    pairs = MemberPairs(training.take(np.arange(30)), bright_disks(30, 4, 1, "test", noise=0.8))
    result = train_shadow_models(pairs, None, 2, ShadowRecipe(epochs=100, batch=15, learning_rate=1e-2), model(), context(tmp_path / "a"))
    assert result.scaled_confidence[result.is_member].mean() > result.scaled_confidence[~result.is_member].mean() + 1


def test_a_small_shadow_takes_the_checkpoints_images_and_classes() -> None:
    module = build_shadow(ShadowRecipe("small"), checkpoint(), 4, 0)
    assert module(torch.rand(2, 3, 16, 16)).shape == (2, 4)
    assert sum(p.numel() for p in module.parameters()) < 3e5


def test_stored_pixels_are_the_images_and_resume(tmp_path: Path) -> None:
    first, second = bright_disks(10, 4, 0, "a"), bright_disks(7, 4, 1, "b")
    store = stored(tmp_path / "p.u8", [first], (3, 16, 16), 4, Deadline(), lambda *_: None)
    assert torch.equal(store.images(np.array([3, 0])), first.pixels[[3, 0]])
    calls = []
    store = stored(tmp_path / "p.u8", [first, second], (3, 16, 16), 4, Deadline(), lambda done, total: calls.append((done, total)))
    assert calls == [(14, 17), (17, 17)]
    assert torch.equal(store.images(np.arange(17)), torch.cat([first.pixels, second.pixels]))


def test_a_list_of_shadows_is_run_on_both_sides(tiny: Path, tmp_path: Path) -> None:
    pairs: Any = _digit_pairs()
    spec = CheckpointSpec(str(tiny))
    lists = {}
    for i in range(2):
        shutil.copy(tiny, tmp_path / f"shadow{i}.safetensors")
        shutil.copy(tiny.with_suffix(".json"), tmp_path / f"shadow{i}.json")
        file = tmp_path / f"shadow{i}.txt"
        file.write_text("\n".join([*pairs.ids[i::2], "digits/of-another-set"]))
        lists[str(tmp_path / f"shadow{i}.safetensors")] = str(file)
    loaded = load_model(resolve(spec))
    result = run_shadow_checkpoints(pairs, lists, loaded, context(tmp_path / "scratch"))
    assert result.is_member.sum(axis=0).tolist() == [1] * 20
    images = torch.cat([pairs.members.pixels, pairs.nonmembers.pixels])
    expected = torch.nn.functional.cross_entropy(loaded(images).double(), torch.from_numpy(pairs.labels), reduction="none")
    np.testing.assert_allclose(result.loss[0], expected, rtol=1e-5)


def _digit_pairs() -> MemberPairs:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(np.rint(rng.random((20, 3, 32, 32)) * 255) / 255).float()
    labels = np.tile(np.arange(10), 2).astype(np.int64)
    whole = InMemory(pixels, labels, [f"digits/{i:02d}" for i in range(20)])
    return MemberPairs(whole.take(np.arange(10)), whole.take(np.arange(10, 20)))


def test_a_shadow_of_other_classes_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("train/00\n")
    with pytest.raises(SettingsError, match="10 classes and takes") as caught:
        run_shadow_checkpoints(both()[0], {str(tiny): str(tmp_path / "ids.txt")}, model(), context(tmp_path / "scratch"))
    assert caught.value.code == "bad-shadow"


def test_member_lists_that_say_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read") as caught:
        read_membership(("a", "b"), tmp_path / "missing.txt")
    assert caught.value.code == "no-members"
    (tmp_path / "other.txt").write_text("c\nd\n")
    with pytest.raises(SettingsError, match="their ids look like a") as caught:
        read_membership(("a", "b"), tmp_path / "other.txt")
    assert caught.value.code == "unknown-members"
    (tmp_path / "good.txt").write_text("b \r\nd\r\n")
    assert read_membership(("a", "b"), tmp_path / "good.txt").tolist() == [False, True]
