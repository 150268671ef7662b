"""A torchvision transform taken apart: geometry on one side, normalisation on the other, which happens inside the model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from efficient360.datasets.images import transform_for
from efficient360.datasets.in_memory import Normalisation
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Preprocessing

PROBE_SIZES = ((32, 32), (64, 48), (97, 200), (300, 400))
"""Heights and widths of the images on which a transform is compared with what was read off it."""


def split_transform(transform: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], Normalisation | None]:
    """A transform without its final ``Normalize``, and what that normalised with.

    Args:
        transform: From an image to a tensor, such as a torchvision ``Compose``.

    Raises:
        DatasetError: It normalises before its end.
    """
    steps = _steps(transform)
    places = [i for i, step in enumerate(steps) if type(step).__name__ == "Normalize"]
    if not places:
        return transform, None
    if places != [len(steps) - 1]:
        raise DatasetError("transform-order", "the transform normalises before its last step", "let Normalize be its last step")
    return _Chain(tuple(steps[:-1])), _normalisation(steps[-1])


def normalisation_of(data: Any) -> Normalisation | None:
    """What a torch data set's own ``transform`` normalises with, looked up through ``Subset``; ``None`` where it tells nothing."""
    while data is not None:
        steps = _steps(getattr(data, "transform", None))
        if steps and type(steps[-1]).__name__ == "Normalize":
            return _normalisation(steps[-1])
        data = getattr(data, "dataset", None)
    return None


def preprocessing_of_transform(transform: Callable[[Any], Any]) -> Preprocessing:
    """A transform as the data config that does the same, for data sets that are opened by name.

    ``Resize`` and ``CenterCrop`` are read off, and what was read is held against the transform on a few images.

    Raises:
        DatasetError: It does something that no data config says.
    """
    geometry, normalisation = split_transform(transform)
    steps = _steps(geometry) or [geometry]
    named = {type(step).__name__: step for step in steps}
    resize, crop = named.get("Resize"), named.get("CenterCrop")
    last = crop or resize
    size = _both(getattr(last, "size", None))
    refusal = DatasetError(
        "transform-not-readable",
        "the transform can't be written as size, interpolation, crop, mean and deviation",
        "give preprocessing=Preprocessing(...), or the images themselves as a data set in memory",
    )
    if size is None:
        raise refusal
    resized = getattr(resize, "size", size)
    edge = min(_both(resized) or size)
    squash = isinstance(resized, list | tuple) and len(resized) == 2
    preprocessing = Preprocessing(
        input_size=(3, *size),
        mean=(0.0,) * 3 if normalisation is None else normalisation.mean,
        std=(1.0,) * 3 if normalisation is None else normalisation.std,
        interpolation=str(getattr(getattr(resize, "interpolation", None), "value", "bilinear")),
        crop_pct=min(size) / edge,
        crop_mode="squash" if squash else "center",
    )
    if not _agree(geometry, preprocessing):
        raise refusal
    return preprocessing


class _Chain:
    """Steps one after the other."""

    def __init__(self, transforms: tuple[Callable[[Any], Any], ...]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for step in self.transforms:
            image = step(image)
        return image


def _steps(transform: Any) -> list[Any]:
    steps = getattr(transform, "transforms", None)
    return list(steps) if isinstance(steps, Sequence) else []


def _normalisation(step: Any) -> Normalisation:
    mean, std = (tuple(float(v) for v in torch.as_tensor(values).flatten().tolist()) for values in (step.mean, step.std))
    return Normalisation(mean * 3 if len(mean) == 1 else mean, std * 3 if len(std) == 1 else std)


def _both(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, list | tuple) and len(size) in (1, 2) and all(isinstance(side, int) for side in size):
        return int(size[0]), int(size[-1])
    return None


def _agree(geometry: Callable[[Any], Any], preprocessing: Preprocessing) -> bool:
    ours = transform_for(preprocessing)
    rng = np.random.default_rng(0)
    for height, width in PROBE_SIZES:
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        theirs = torch.as_tensor(geometry(image))
        theirs = theirs.float() / 255 if theirs.dtype == torch.uint8 else theirs.float()
        if tuple(theirs.shape) != preprocessing.input_size or not torch.allclose(theirs, torch.from_numpy(ours(image).copy()).float() / 255, atol=1.5 / 255):
            return False
    return True
