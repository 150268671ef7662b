import sys
from pathlib import Path

import numpy as np
import pytest

from efficient360.errors import Unsupported
from efficient360.methods.corruptions import frost
from efficient360.methods.corruptions.frost import Frost


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
    assert frost.photograph_folder() is None
    for name in frost.FILES:
        (package / "frost" / name).touch()
    assert frost.photograph_folder() == package / "frost"
