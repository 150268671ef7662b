import pytest
import torch

from efficient360.core.batch import Batch
from efficient360.datasets.decoding import ahead, decoders_for


def batch(i: int, log: list[int]) -> Batch:
    def load() -> torch.Tensor:
        log.append(i)
        if i == 7:
            raise ValueError("broken")
        return torch.full((1, 3, 2, 2), i)

    return Batch((str(i),), torch.tensor([0]), load, 0)


@pytest.mark.parametrize("decoders", [0, 1, 3, 20])
def test_order_and_images_are_the_same(decoders: int) -> None:
    log: list[int] = []
    seen = [(b.ids[0], b.images[0, 0, 0, 0].item()) for b in ahead((batch(i, log) for i in range(7)), decoders)]
    assert seen == [(str(i), i) for i in range(7)]
    assert sorted(log) == list(range(7))


@pytest.mark.parametrize("decoders", [0, 3])
def test_an_unreadable_image_is_raised(decoders: int) -> None:
    with pytest.raises(ValueError, match="broken"):
        _ = [one.images for one in ahead((batch(i, []) for i in range(9)), decoders)]


def test_no_thread_beside_a_forward_pass_on_the_same_cores() -> None:
    assert decoders_for("cpu") == 0
    assert decoders_for("cuda") >= 1
