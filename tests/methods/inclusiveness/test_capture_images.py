import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from efficient360.core.seeding import generators
from efficient360.methods.inclusiveness.capture_conditions import CONDITIONS, GAMMA, CameraShake, LowLight, SensorNoise, path_kernel

IDS = [f"test/{i}" for i in range(4)]


def images(side: int = 32) -> torch.Tensor:
    smooth = torch.nn.functional.interpolate(torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)), (side, side), mode="bilinear")
    return (smooth * 255).round() / 255


def apply(name: str, pixels: torch.Tensor, ids: list[str] = IDS, seed: int = 0) -> torch.Tensor:
    return CONDITIONS[name].apply(pixels, generators(name, ids, seed))


def flat(value: float, count: int = 1, side: int = 64) -> torch.Tensor:
    return torch.full((count, 3, side, side), value)


@pytest.mark.parametrize("name", CONDITIONS)
def test_images_keep_their_shape_and_come_in_eight_bits(name: str) -> None:
    clean = images()
    degraded = apply(name, clean)
    assert degraded.shape == clean.shape
    assert degraded.dtype == torch.float32
    assert (degraded * 255 - (degraded * 255).round()).abs().max() < 1e-4
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    assert (degraded - clean).abs().mean() > 1e-3
    assert torch.equal(clean, images())


@pytest.mark.parametrize("name", CONDITIONS)
def test_neighbours_and_order_change_nothing_and_the_seed_does(name: str) -> None:
    clean = images()
    whole = apply(name, clean)
    assert torch.equal(whole, apply(name, clean))
    assert (whole[2:3] - apply(name, clean[2:3], IDS[2:3])).abs().max() < 1.5 / 255
    assert torch.equal(whole.flip(0), apply(name, clean.flip(0), IDS[::-1]))
    random = name in ("low_light", "sensor_noise", "motion_blur")
    assert torch.equal(whole, apply(name, clean, seed=1)) is not random


@pytest.mark.parametrize(("name", "factor"), [("half_resolution", 2), ("quarter_resolution", 4)])
def test_fewer_pixels_are_left(name: str, factor: int) -> None:
    """A checkerboard finer than the coarse pixels turns grey; a constant stays."""
    board = (torch.arange(32)[:, None] + torch.arange(32)[None]).remainder(2).float().expand(1, 3, 32, 32)
    assert apply(name, board, IDS[:1]) == pytest.approx(128 / 255)
    assert torch.equal(apply(name, flat(0.6), IDS[:1]), flat(0.6))
    # Blocks as large as the coarse pixels survive in their middle.
    blocks = (torch.arange(32) // (2 * factor)).remainder(2).float().expand(1, 3, 32, 32)
    assert apply(name, blocks, IDS[:1])[..., factor].abs().max() < 0.01 if factor > 2 else True


def test_low_light_is_as_dark_as_it_says() -> None:
    """An eighth of the light, in pixels the 2.2th root of it."""
    degraded = apply("low_light", flat(1.0), IDS[:1])
    assert degraded.mean() == pytest.approx((1 / 8) ** (1 / GAMMA), abs=0.005)
    assert apply("low_light", flat(0.0), IDS[:1]).mean() < 0.05


def test_noise_has_the_variance_of_its_electrons() -> None:
    condition = SensorNoise(electrons=400.0, read_noise=5.0)
    clean = flat(0.5 ** (1 / GAMMA), side=128)  # half the light: 200 electrons
    degraded = condition.apply(clean, generators("x", IDS[:1], 0)).double().pow(GAMMA)
    assert degraded.mean() == pytest.approx(0.5, abs=0.01)
    assert degraded.std() == pytest.approx(math.sqrt(200 + 25) / 400, rel=0.05)


def test_less_light_has_more_noise_for_its_signal() -> None:
    dark = LowLight().apply(flat(1.0), generators("x", IDS[:1], 0)).double().pow(GAMMA)
    light = SensorNoise(electrons=1000.0).apply(flat(0.9), generators("x", IDS[:1], 0)).double().pow(GAMMA)
    assert dark.std() / dark.mean() > 2 * light.std() / light.mean()


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5])
def test_a_path_of_motion_sums_to_one_lies_in_the_middle_and_is_as_long(angle: float) -> None:
    weights = path_kernel(9.0, angle)
    places = np.arange(len(weights)) - len(weights) // 2
    assert weights.sum() == pytest.approx(1)
    assert (weights.sum(0) @ places, weights.sum(1) @ places) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))
    # The variance along an even path of length L is L² / 12; sharing between pixels adds at most a quarter each way.
    spread = weights.sum(0) @ places**2 + weights.sum(1) @ places**2
    assert 81 / 12 <= spread <= 81 / 12 + 0.9


def test_motion_smears_along_the_path_only() -> None:
    line = torch.zeros(1, 3, 48, 48)
    line[..., 24, :] = 1

    class Level:
        def uniform(self, low: float, high: float) -> float:
            return 0.0

    level: Any = Level()
    assert torch.equal(CameraShake().apply(line, [level]), line)
    assert apply("motion_blur", flat(0.6), IDS[:1]) == pytest.approx(153 / 255)


def test_jpeg_is_pillows() -> None:
    clean = images()
    file = io.BytesIO()
    Image.fromarray((clean[1] * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=10, subsampling=2)
    by_hand = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1).float() / 255
    assert torch.equal(apply("strong_jpeg", clean)[1], by_hand)
