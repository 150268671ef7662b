"""Out-of-distribution images that need no download: Gaussian and uniform noise, and random crops of two photographs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators

ImageGenerator = Callable[[np.random.Generator, tuple[int, int]], NDArray[Any]]
"""From a random generator and ``(H, W)`` to an image ``(3, H, W)`` in [0, 1]."""

GAUSSIAN: Final = "gaussian noise"
UNIFORM: Final = "uniform noise"
PHOTOGRAPHS: Final = "photographs"

MIN_CROP: Final = 96
"""Shortest side of a crop in pixels of the photograph: smaller ones show little but a patch of colour."""
PHOTOGRAPHED: Final = ("dahlia", "daisy", "flower", "monastery", "pagoda", "palace", "stupa", "temple")
"""Words for what the photographs show: a flower, and a Chinese palace."""


def gaussian_noise(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """Pixel values from a normal distribution of mean 0.5 and variance 1, clipped to [0, 1] (Liang, Li & Srikant 2018, section 4.2)."""
    return np.clip(rng.normal(0.5, 1.0, (3, *size)), 0.0, 1.0)


def uniform_noise(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """Pixel values uniform on [0, 1] (Liang, Li & Srikant 2018, section 4.2)."""
    return rng.random((3, *size))


def photograph_crop(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[Any]:
    """A random square crop of one of scikit-learn's two sample photographs, with a side from 96 pixels to the full height, resized to ``size``.

    The crop does not depend on ``size``, so models of any input size see the same crops.
    """
    photograph = _photographs()[rng.integers(2)]
    side = min(photograph.height, int(np.exp(rng.uniform(np.log(MIN_CROP), np.log(photograph.height + 1)))))
    left, top = rng.integers(photograph.width - side + 1), rng.integers(photograph.height - side + 1)
    box = (int(left), int(top), int(left) + side, int(top) + side)
    crop = photograph.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop).transpose(2, 0, 1) / 255.0


IMAGE_GENERATORS: Final[Mapping[str, ImageGenerator]] = {PHOTOGRAPHS: photograph_crop, GAUSSIAN: gaussian_noise, UNIFORM: uniform_noise}
"""Image generators by the name of the data set that they make."""


@cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_image

    return tuple(Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg"))


@final
@dataclass(frozen=True)
class GeneratedExamples:
    """Generated images without classes, each determined by its own id and the seed. Implements :class:`efficient360.evaluator.Examples`.

    Args:
        name: Of the data set; with the seed it determines what is drawn.
        generator: Draws an image.
        size: ``(H, W)``.
        seed: Of all that is drawn.
        ids: Their ids.
    """

    name: str
    generator: ImageGenerator
    size: tuple[int, int]
    seed: int
    ids: Sequence[str]

    @property
    def digest(self) -> str:
        """SHA-256 over everything that determines the images."""
        return hashlib.sha256("\0".join([self.name, *map(str, self.size), str(self.seed), *self.ids]).encode()).hexdigest()

    @property
    def class_names(self) -> Sequence[str]:
        """A single class, named like the data set."""
        return [self.name]

    @property
    def labels(self) -> NDArray[np.int64]:
        """All 0."""
        return np.zeros(len(self), dtype=np.int64)

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Consecutive batches; images are generated on first access."""
        for first in range(start, len(self), size):
            ids = tuple(self.ids[first : first + size])
            yield Batch(ids, torch.zeros(len(ids), dtype=torch.int64), partial(self._images, ids), self.seed)

    def subset(self, n: int, seed: int) -> "GeneratedExamples":
        """The first ``n``, which are as random as any others."""
        return replace(self, ids=self.ids[:n])

    def select(self, ids: Sequence[str]) -> "GeneratedExamples":
        """The examples of these ids."""
        return replace(self, ids=list(ids))

    def _images(self, ids: Sequence[str]) -> Tensor:
        return torch.from_numpy(np.stack([self.generator(rng, self.size) for rng in generators(self.name, ids, self.seed)]).astype(np.float32))


def generate_examples(name: str, generator: ImageGenerator, size: tuple[int, int], n: int, seed: int) -> GeneratedExamples:
    """``n`` generated images of size ``(H, W)``."""
    return GeneratedExamples(name, generator, size, seed, [f"{name}/{i:05d}" for i in range(n)])
