"""The two ways to fine-tune: the head on features that stay, or every layer from the images."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.core.batch import Batch
from efficient360.evaluator import Context, Examples
from efficient360.methods.privacy.fresh_head import levelled, new_head, unfreeze_layers, with_new_head
from efficient360.methods.privacy.per_sample import require_per_sample
from efficient360.models.model import TorchModel
from efficient360.storage.pixel_store import PixelStore, stored
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

ROWS: Final = 16
"""Images a pass: fixed, so that what is learned doesn't depend on the run's batch size."""
HEAD, ALL = "head", "all"


class StartingPoint(ABC):
    """What is fine-tuned, and on what inputs."""

    @abstractmethod
    def module(self) -> nn.Module:
        """Inputs to logits, untrained anew at each call, on the model's device; what requires gradients is to be trained."""

    @abstractmethod
    def inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """The module's inputs for these training examples, ``(B, …)``, on its device."""

    @abstractmethod
    def tested(self, rows: NDArray[np.int64]) -> Tensor:
        """The module's inputs for these test examples."""


@final
@dataclass(frozen=True)
class Head(StartingPoint):
    """A linear classifier on the checkpoint's pooled features, each example's levelled by its own mean and deviation.

    Args:
        training: Features ``(n, D)``, float32, on the model's device.
        test: Features ``(m, D)``.
        classes: How many.
    """

    training: Tensor
    test: Tensor
    classes: int

    def module(self) -> nn.Module:
        return new_head(self.training.shape[1], self.classes).to(self.training.device)

    def inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return self.training[torch.from_numpy(rows)]

    def tested(self, rows: NDArray[np.int64]) -> Tensor:
        return self.test[torch.from_numpy(rows)]


@final
@dataclass(frozen=True)
class AllLayers(StartingPoint):
    """Every layer from the checkpoint's weights, the classifier from zeros; class token and positions stay.

    Args:
        model: The checkpoint's; it is copied, never trained.
        training: The training images.
        test: The test images.
    """

    model: TorchModel
    training: PixelStore
    test: PixelStore

    def module(self) -> nn.Module:
        return with_new_head(self.model)

    def inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return _normalised(self.model, self.training.images(rows))

    def tested(self, rows: NDArray[np.int64]) -> Tensor:
        return _normalised(self.model, self.test.images(rows))


def head(model: TorchModel, training: Examples, test: Examples, context: Context) -> Head:
    """Take the features of both splits, going on where an interrupted pass left off.

    Raises:
        Unsupported: The architecture offers no features.
        OutOfTime: From the deadline.
    """
    model.require_features()
    return Head(
        _features(model, training, context.scratch / "training-features.f32", context),
        _features(model, test, context.scratch / "test-features.f32", context),
        model.num_classes,
    )


def all_layers(model: TorchModel, training: Examples, test: Examples, context: Context) -> AllLayers:
    """Check that opacus takes the network, then store the pixels of both splits.

    Raises:
        Unsupported: It does not, or the classifier can't be replaced; the module is named.
        OutOfTime: From the deadline.
    """
    with_new_head(model)
    batch = next(training.batches(2))
    require_per_sample(_trainable(model), _normalised(model, batch.images), batch.labels.to(model.device))
    places = (context.scratch / "training-pixels.u8", context.scratch / "test-pixels.u8")
    stores = [stored(path, [of], model.input_size, ROWS, context.deadline, context.progress) for path, of in zip(places, (training, test), strict=True)]
    return AllLayers(model, *stores)


def _normalised(model: TorchModel, images: Tensor) -> Tensor:
    # opacus' gradients of a convolution are wrong, without an error, for images laid out with their channels last, as decoded ones are.
    return model.module.normalise(images.to(model.device)).contiguous(memory_format=torch.contiguous_format)


def _trainable(model: TorchModel) -> nn.Module:
    """A copy with the checkpoint's own classifier: under one of zeros every other gradient would be zero, and any check would pass."""
    network = copy.deepcopy(model.network)
    unfreeze_layers(network)
    return network


def _features(model: TorchModel, examples: Examples, path: Path, context: Context) -> Tensor:
    with torch.inference_mode():
        width = prod(model.features(torch.zeros(1, *model.input_size)).shape[1:])

    def row(batch: Batch) -> NDArray[Any]:
        with torch.inference_mode():
            found: NDArray[Any] = levelled(model.features(batch.images).flatten(1)).cpu().numpy()
        return found

    rows = recorded(RowLog(path, width), examples, ROWS, row, context.deadline, context.progress)
    return torch.from_numpy(rows).to(model.device)
