"""What images far from any data set are made of: noise, and crops of two photographs."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from efficient360.methods.uncertainty.made_examples import Make

GAUSSIAN: Final = "gaussian noise"
UNIFORM: Final = "uniform noise"
PHOTOGRAPHS: Final = "photographs"

SMALLEST = 96
"""Shortest side of a crop in pixels of the photograph: smaller ones show nothing but a patch of colour."""
SHOWN: Final = ("dahlia", "daisy", "flower", "monastery", "pagoda", "palace", "stupa", "temple")
"""Words for what the photographs show: a flower, and a Chinese palace."""


def gaussian(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """Every value from a normal distribution of mean 0.5 and variance 1, clipped to [0, 1] (Liang, Li & Srikant 2018, section 4.2)."""
    return np.clip(rng.normal(0.5, 1.0, (3, *size)), 0.0, 1.0)


def uniform(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """Every value from [0, 1] (Liang, Li & Srikant 2018, section 4.2)."""
    return rng.random((3, *size))


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """A square crop of one of scikit-learn's two photographs, 96 pixels to its whole height wide, at the size asked for.

    The crop does not depend on the size, so models of any input size see the same ones.
    """
    picture = _photographs()[rng.integers(2)]
    side = min(picture.height, int(np.exp(rng.uniform(np.log(SMALLEST), np.log(picture.height + 1)))))
    left, top = rng.integers(picture.width - side + 1), rng.integers(picture.height - side + 1)
    box = (int(left), int(top), int(left) + side, int(top) + side)
    crop = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop).transpose(2, 0, 1) / 255.0


MAKERS: Final[Mapping[str, Make]] = {PHOTOGRAPHS: photograph, GAUSSIAN: gaussian, UNIFORM: uniform}
"""How each set of them is made."""


@cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_image

    return tuple(Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg"))
