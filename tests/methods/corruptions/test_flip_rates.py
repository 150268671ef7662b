from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.corruptions.corruption import example_generator
from efficient360.methods.corruptions.flip_rates import FRAME_BATCH, predict_sequences
from efficient360.methods.corruptions.imagenet_c import CIFAR_C
from efficient360.methods.corruptions.imagenet_p import PERTURBATIONS, SequenceSelection
from efficient360.models.model import Model

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)).float() / 255
IDS = [f"test/{i}" for i in range(4)]
SELECTION = SequenceSelection(PERTURBATIONS, "cifar-p", 3)


@dataclass(frozen=True)
class Digest(Model):
    """A class that depends on every pixel: other pixels, most likely another class."""

    @property
    def num_classes(self) -> int:
        return 1009

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 32, 32)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        assert len(images) <= FRAME_BATCH
        weights = torch.arange(images[0].numel()) % 1013 + 1
        predicted = ((images * 255).round().long().flatten(1) * weights).sum(1) % self.num_classes
        return torch.nn.functional.one_hot(predicted, self.num_classes).float()


def predictions_of(order: Sequence[int], size: int, threads: int, seed: int = 0, selection: SequenceSelection = SELECTION) -> dict[tuple[str, str], list[int]]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        by_sequence: dict[Any, Any] = {}
        for start in range(0, len(order), size):
            part = list(order[start : start + size])
            for name, predictions in predict_sequences(Digest(), IMAGES[part], [IDS[i] for i in part], selection, seed):
                by_sequence |= {(IDS[i], name): row.tolist() for i, row in zip(part, predictions, strict=True)}
        return by_sequence
    finally:
        torch.set_num_threads(before)


@given(st.permutations(range(4)), st.integers(1, 4), st.sampled_from([1, 2, 3]))
@settings(max_examples=4, deadline=None)
def test_order_batches_and_threads_change_nothing(order: list[int], size: int, threads: int) -> None:
    assert predictions_of(order, size, threads) == predictions_of(range(4), 4, 1)


def test_every_frame_is_classified_whether_few_go_through_the_model_at_once_or_many() -> None:
    """41 frames take two passes; each answer is that of the frame alone."""
    selection = SequenceSelection(("translate", "rotate"), "imagenet-p", None)
    predictions = predictions_of(range(1), 1, 1, selection=selection)
    pixels = (IMAGES[0] * 255).round().byte().numpy()
    for name, length in (("translate", 41), ("rotate", 31)):
        frames = torch.from_numpy(selection.frames(pixels, IDS[0], name, 0)).float() / 255
        assert predictions[IDS[0], name] == [int(Digest()(frame[None]).argmax()) for frame in frames]
        assert len(frames) == length


def test_another_seed_or_example_has_other_noise() -> None:
    one, other = predictions_of(range(2), 2, 1), predictions_of(range(2), 2, 1, seed=1)
    assert one["test/0", "gaussian_noise"] != other["test/0", "gaussian_noise"]
    assert one["test/0", "rotate"] == other["test/0", "rotate"]
    pixels = np.full((3, 32, 32), 99, np.uint8)
    assert (SELECTION.frames(pixels, "a", "snow", 0) != SELECTION.frames(pixels, "b", "snow", 0)).any()


def test_its_noise_is_not_that_of_the_corruption() -> None:
    pixels = np.full((3, 32, 32), 99, np.uint8)
    frame = SELECTION.frames(pixels, "a", "gaussian_noise", 0)[1].astype(float)
    corrupted = CIFAR_C["gaussian_noise"][0].apply(pixels, example_generator(0, "a", "gaussian_noise", 1)).astype(float)
    assert abs(np.corrcoef(frame.ravel(), corrupted.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize(("names", "frames", "shortened"), [(PERTURBATIONS, None, False), (("rotate",), 31, False), (("translate", "rotate"), 20, True)])
def test_which_sequences_are_shortened(names: tuple[str, ...], frames: int | None, shortened: bool) -> None:
    selection = SequenceSelection(names, "cifar-p", frames)
    assert any(selection.is_shortened(name) for name in names) is shortened
