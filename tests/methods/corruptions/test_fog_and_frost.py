import sys
from pathlib import Path

import numpy as np
import pytest

from efficient360.errors import Unsupported
from efficient360.methods.corruptions import frost
from efficient360.methods.corruptions.frost import Frost
from efficient360.methods.corruptions.plasma import plasma
from efficient360.methods.corruptions.weather import Fog


class Recorded:
    """Noise known beforehand, in place of a generator."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(5)
        self.drawn = [rng.random((3, n, n), dtype=np.float32) for n in (2**k for k in range(size.bit_length() - 1))]
        self.given = list(self.drawn)

    def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        noise = self.given.pop(0)
        assert noise.shape == shape
        return noise.copy()


def diamond_square(size: int, decay: float, drawn: list[np.ndarray]) -> np.ndarray:
    """Point by point on a torus: the middle of every square, then of every diamond, each the mean of its four corners plus noise."""
    heights = np.zeros((size, size))
    step, amplitude = size, 1.0
    for uniform in drawn:
        noise = (2 * uniform.astype(float) - 1) * amplitude
        half = step // 2
        for i in range(0, size, step):
            for j in range(0, size, step):
                corners = [heights[(i + a) % size, (j + b) % size] for a in (0, step) for b in (0, step)]
                heights[i + half, j + half] = np.mean(corners) + noise[0, i // step, j // step]
        for i in range(0, size, step):
            for j in range(0, size, step):
                for (y, x), layer in (((i, j + half), 1), ((i + half, j), 2)):
                    around = [heights[(y + a) % size, (x + b) % size] for a, b in ((-half, 0), (half, 0), (0, -half), (0, half))]
                    heights[y, x] = np.mean(around) + noise[layer, i // step, j // step]
        step, amplitude = half, amplitude / decay**2
    heights -= heights.min()
    return heights / heights.max()


@pytest.mark.parametrize("decay", [3.0, 1.4])
def test_plasma_is_the_diamond_square_algorithm(decay: float) -> None:
    noise = Recorded(16)
    np.testing.assert_allclose(plasma(16, decay, noise), diamond_square(16, decay, noise.drawn), atol=1e-5)
    assert noise.given == []


def test_plasma_spans_zero_to_one_and_a_slower_decay_is_rougher() -> None:
    rough, smooth = (plasma(64, decay, np.random.default_rng(0)) for decay in (1.4, 3.0))
    for clouds in (rough, smooth):
        assert (clouds.shape, clouds.min(), clouds.max()) == ((64, 64), 0, 1)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_fog_leaves_the_thickest_place_of_a_white_image_white_and_darkens_the_rest() -> None:
    """White 1 under fog f becomes (1 + 2 f) / 3."""
    made = Fog(2, 2).apply(np.full((3, 64, 64), 255, np.uint8), np.random.default_rng(0))
    assert (made.min(), made.max()) == (85, 255)
    np.testing.assert_array_equal(made[0], made[2])


@pytest.mark.usefixtures("photographs")
def test_frost_adds_a_cut_of_a_photograph() -> None:
    """An image of 200 and photographs of 0 | 40 i: 100 + 0.25 · 40 i, i from 1 to 5, each of them sooner or later."""
    image = np.full((3, 32, 32), 200, np.uint8)
    seen: set[int] = set()
    for seed in range(60):
        made = Frost(0.5, 0.25, 1).apply(image, np.random.default_rng(seed))
        assert made.shape == image.shape
        seen |= {int(value) for value in np.unique(made)}
    expected = {100, 110, 120, 130, 140, 150}
    assert expected <= {value + d for value in seen for d in (-1, 0, 1)}
    assert max(seen) <= 151


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize(("scale", "size", "shape"), [(1, (32, 32), (60, 90)), (0.2, (8, 8), (12, 18)), (0.2, (32, 24), (32, 48)), (1, (120, 100), (120, 180))])
def test_a_photograph_is_scaled_and_never_smaller_than_the_image(scale: float, size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert {texture.shape for texture in frost.textures(scale, *size)} == {(3, *shape)}


@pytest.mark.usefixtures("no_photographs")
def test_without_photographs_frost_says_what_to_install() -> None:
    with pytest.raises(Unsupported, match="photographs that are not installed") as raised:
        Frost(1, 0.4, 1).apply(np.zeros((3, 32, 32), np.uint8), np.random.default_rng(0))
    assert raised.value.code == "no-frost"
    assert "efficient360[robustness]" in raised.value.hint


def test_photographs_are_looked_for_in_the_package_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / frost.PACKAGE
    (package / "frost").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, frost.PACKAGE, raising=False)
    assert frost.photographs() is None
    for name in frost.FILES:
        (package / "frost" / name).touch()
    assert frost.photographs() == package / "frost"
