"""Images and labels that a program holds: a torch data set, a Hugging Face one, or two arrays. Read one by one, never copied whole."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from efficient360.datasets.card import Card, Source
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import Pixels, Transform
from efficient360.datasets.loader import Dataset
from efficient360.errors import DatasetError

IMAGE_KEYS: Final = ("image", "img", "pixel_values", "images")
LABEL_KEYS: Final = ("label", "labels", "fine_label", "target")
TOLERANCE: Final = 1e-4
"""How far outside [0, 1] rounding may carry a pixel whose normalisation is undone."""


@final
@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and deviation, in [0, 1], as a data set's own transform has applied them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@final
@dataclass(frozen=True)
class Supplied:
    """Data that a program hands over.

    Args:
        test: What is evaluated: anything with a length whose items are ``(image, label)`` or a mapping with an image and a label;
            or a pair of arrays ``(images, labels)``. Images are PIL images, uint8 arrays or tensors, or float ones in [0, 1].
        training: The training split, likewise; ``None`` where there is none.
        transform: From an item's image to pixels in [0, 1]; ``None`` leaves tensors as they are and takes the checkpoint's transform for PIL images.
        normalisation: What the images were normalised with, if they were: it is undone, as it happens inside the model.
        class_names: Name of each class, index = label; empty takes the data set's own, else the checkpoint's, else numbers.
        groups: Group values in the order of ``test``, by group column.
    """

    test: Any
    training: Any = None
    transform: Callable[[Any], Any] | None = None
    normalisation: Normalisation | None = None
    class_names: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[str]] | None = None

    def image_size(self) -> tuple[int, int, int] | None:
        """``(3, H, W)`` of the first image once transformed; ``None`` when it is a PIL image that no transform brings to size.

        Raises:
            DatasetError: There are no images, or the first is none.
        """
        items = _items_of(self.test)
        if len(items) == 0:
            raise DatasetError("empty-split", "the data set holds no examples", "give at least one")
        image = _image(items[0])
        if self.transform is None and isinstance(image, Image.Image):
            return None
        return _shape(_Reader(items, self.transform, None, self.normalisation).pixels(0))

    def named_classes(self) -> tuple[str, ...]:
        """Names of the classes as given, or the data's own; empty where they have none."""
        return tuple(self.class_names) or _names_of(self.test)

    def open(self, own_names: Sequence[str], classes: int, size: tuple[int, int, int], resize: Transform, max_examples: int | None, seed: int) -> Dataset:
        """The data set, every item looked at once.

        Args:
            own_names: Class names of the checkpoint, or empty.
            classes: How many classes the checkpoint knows.
            size: ``(3, H, W)`` of the images it takes.
            resize: The checkpoint's transform, for PIL images.
            max_examples: Size of the stratified subset; ``None`` takes all.
            seed: Of the subset, and of all randomness per example.

        Raises:
            DatasetError: An item is no pair, an image has another shape or range, a label is out of range, or two looks at an image differ.
        """
        names = self.named_classes() or tuple(own_names)
        examples = self._examples("test", self.test, names, classes, size, resize, seed, self.groups or {})
        chosen = examples if max_examples is None else examples.subset(max_examples, seed)
        shape = (names, classes, size, resize, seed)
        # Opening looks at every item: once is enough for all evaluators that ask for it.
        training = None if self.training is None else cache(partial(self._examples, "train", self.training, *shape, {}))
        title = f"{type(self.test).__name__} in memory"
        card = Card(
            "memory", title, Source("memory", ""), splits={"test": "test"} | ({} if training is None else {"train": "train"}), groups=tuple(self.groups or ())
        )
        return Dataset(card, "test", chosen, len(examples), (), (), training)

    def _examples(
        self,
        split: str,
        data: Any,
        names: Sequence[str],
        classes: int,
        size: tuple[int, int, int],
        resize: Transform,
        seed: int,
        groups: Mapping[str, Sequence[str]],
    ) -> ExampleSet:
        items = _items_of(data)
        reader = _Reader(items, self.transform, resize, self.normalisation)
        labels = reader.checked_labels(size)
        names = list(names) or [str(i) for i in range(max(classes, int(labels.max(initial=-1)) + 1))]
        wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
        if len(wrong):
            message = f"{len(wrong)} labels are outside 0 … {len(names) - 1}, the first is {labels[wrong[0]]} at item {wrong[0]}"
            raise DatasetError("label-out-of-range", message, "number the classes from 0, and give class_names in that order")
        for column, values in groups.items():
            if len(values) != len(items):
                raise DatasetError("groups-mismatch", f"the group column {column!r} has {len(values)} values for {len(items)} examples", "give one for each")
        return ExampleSet(
            table=reader,
            image="image",
            positions=np.arange(len(items), dtype=np.int64),
            ids=[f"{split}/{i}" for i in range(len(items))],
            labels=labels,
            groups={column: [str(value) for value in values] for column, values in groups.items()},
            class_names=names,
            decoder=unpacked,
            seed=seed,
        )


@final
@dataclass(frozen=True)
class _Reader:
    """Rows as an :class:`ExampleSet` reads them: the pixels of each image with their shape, packed into bytes."""

    items: Any
    transform: Callable[[Any], Any] | None
    resize: Transform | None
    normalisation: Normalisation | None

    def __getitem__(self, positions: NDArray[np.int64]) -> dict[str, list[dict[str, bytes]]]:
        return {"image": [{"bytes": packed(self.pixels(int(i)))} for i in positions]}

    def checked_labels(self, size: tuple[int, int, int]) -> NDArray[np.int64]:
        """The labels, once every image is found to be of the size and within [0, 1]."""
        labels = np.empty(len(self.items), dtype=np.int64)
        for i in range(len(self.items)):
            item = self.items[i]
            labels[i] = _label(item, i)
            shape = _shape(self._pixels_of(item, i))
            if shape != size:
                message = f"item {i} is an image of {' x '.join(map(str, shape))}, the network takes {' x '.join(map(str, size))}"
                raise DatasetError("image-size", message, "give a transform that brings every image to that size")
        if len(labels) and not np.array_equal(self.pixels(0), self.pixels(0)):
            raise DatasetError("random-transform", "two looks at the first image differ", "give the data set without its random augmentation")
        return labels

    def pixels(self, i: int) -> Pixels:
        """The pixels of one item."""
        return self._pixels_of(self.items[i], i)

    def _pixels_of(self, item: Any, i: int) -> Pixels:
        image = _image(item)
        if self.transform is not None:
            image = self.transform(image)
        if isinstance(image, Image.Image):
            rgb = image.convert("RGB")
            return np.asarray(rgb).transpose(2, 0, 1) if self.resize is None else self.resize(rgb)
        pixels = _array(image, i)
        if pixels.dtype == np.uint8:
            return pixels
        values = pixels.astype(np.float32)
        if (values.min() < 0 or values.max() > 1) and self.normalisation is not None:
            mean, std = (np.asarray(v, dtype=np.float32)[:, None, None] for v in (self.normalisation.mean, self.normalisation.std))
            values = values * std + mean
        if not bool(np.isfinite(values).all()) or values.min() < -TOLERANCE or values.max() > 1 + TOLERANCE:
            message = f"item {i} holds pixels from {values.min():.3g} to {values.max():.3g}, outside [0, 1]"
            hint = "give images before normalisation with transform=…, whose Normalize moves into the model, or say what normalised them: mean=, std="
            raise DatasetError("pixels-out-of-range", message, hint)
        clipped: NDArray[np.float32] = values.clip(0, 1)
        return clipped


def packed(pixels: Pixels) -> bytes:
    """Pixels as bytes with their shape and type before them, which :func:`unpacked` reads."""
    head = json.dumps([pixels.dtype.name, *pixels.shape]).encode()
    return head + b"\n" + np.ascontiguousarray(pixels).tobytes()


def unpacked(data: bytes, _example: str) -> Pixels:
    """The pixels of :func:`packed`."""
    head, _, body = data.partition(b"\n")
    dtype, *shape = json.loads(head)
    pixels: Pixels = np.frombuffer(body, dtype=dtype).reshape(shape)
    return pixels


@final
@dataclass(frozen=True)
class _Pairs:
    """A pair of arrays as a sequence of pairs."""

    images: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self.images[i], self.labels[i]


def _items_of(data: Any) -> Any:
    if isinstance(data, tuple) and len(data) == 2 and hasattr(data[0], "__len__") and hasattr(data[1], "__len__"):
        images, labels = data
        if len(images) != len(labels):
            raise DatasetError("lengths-differ", f"{len(images)} images are given with {len(labels)} labels", "give a label for each image")
        return _Pairs(images, labels)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        message = f"{type(data).__name__} has no length or can't be indexed"
        raise DatasetError("not-a-dataset", message, "give a map-style torch data set, or a pair (images, labels)")
    return data


def _part(item: Any, place: int, keys: tuple[str, ...], what: str) -> Any:
    if isinstance(item, Mapping):
        name = next((key for key in keys if key in item), None)
        if name is None:
            raise DatasetError("not-a-pair", f"an item has no {what} among its keys {', '.join(map(str, item))}", f"name it one of {', '.join(keys)}")
        return item[name]
    if isinstance(item, tuple | list) and len(item) >= 2:
        return item[place]
    raise DatasetError("not-a-pair", f"an item is {type(item).__name__}, not a pair of image and label", "let the data set yield (image, label)")


def _image(item: Any) -> Any:
    return _part(item, 0, IMAGE_KEYS, "image")


def _label(item: Any, i: int) -> int:
    label = _part(item, 1, LABEL_KEYS, "label")
    value = label.item() if isinstance(label, torch.Tensor | np.ndarray | np.generic) and getattr(label, "size", 1) != 0 and _single(label) else label
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        shape = f" of shape {tuple(label.shape)}" if hasattr(label, "shape") else ""
        raise DatasetError("bad-label", f"the label of item {i} is {type(label).__name__}{shape}", "labels are whole numbers, one for each image")
    return int(value)


def _single(label: Any) -> bool:
    return int(np.prod(tuple(label.shape))) == 1


def _array(image: Any, i: int) -> NDArray[Any]:
    values: NDArray[Any] = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if values.dtype.kind not in "fu" or (values.dtype.kind == "u" and values.dtype != np.uint8) or values.ndim not in (2, 3):
        message = f"item {i} is no image: {type(image).__name__} of {values.dtype}, shape {values.shape}"
        raise DatasetError("not-an-image", message, "give PIL images, uint8 arrays, or float arrays in [0, 1]")
    if values.ndim == 3 and values.shape[0] != 3 and values.shape[2] == 3:
        values = values.transpose(2, 0, 1)
    if values.ndim == 2 or values.shape[0] != 3:
        raise DatasetError("not-rgb", f"item {i} is an image of shape {values.shape}", "give images of three channels; repeat a grey one three times")
    return values


def _shape(pixels: Pixels) -> tuple[int, int, int]:
    channels, height, width = pixels.shape
    return int(channels), int(height), int(width)


def _names_of(data: Any) -> tuple[str, ...]:
    """Class names that a data set carries: torchvision's ``classes``, or a Hugging Face label's names."""
    features = getattr(data, "features", None)
    if isinstance(features, Mapping):
        return next((tuple(features[key].names) for key in LABEL_KEYS if getattr(features.get(key), "names", None)), ())
    classes = getattr(data, "classes", None)
    return tuple(map(str, classes)) if isinstance(classes, list | tuple) else ()
