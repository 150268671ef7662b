"""What private fine-tuning trains: a new head on frozen features (linear probing), or all layers of the network from the images."""

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
from efficient360.core.seeding import isolated_torch_rng
from efficient360.errors import Unsupported
from efficient360.evaluator import Context, Examples
from efficient360.methods.privacy.dp_sgd import check_per_sample_gradients
from efficient360.models.model import TorchModel
from efficient360.models.outputs import logits_in
from efficient360.models.view.protocol import HOW_TO_STATE
from efficient360.models.view.stated import stated_classifier
from efficient360.storage.pixel_store import PixelStore, stored
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

BATCH: Final = 16
"""Images per forward pass: fixed, so that the result does not depend on the run's batch size."""
HEAD, ALL = "head", "all"


class FineTuning(ABC):
    """The module that is trained, and its inputs."""

    @abstractmethod
    def module(self) -> nn.Module:
        """A fresh module from inputs to logits at each call, on the model's device; parameters that require gradients are to be trained."""

    @abstractmethod
    def train_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """The module's inputs for these training examples, ``(B, …)``, on its device."""

    @abstractmethod
    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """The module's inputs for these test examples."""


@final
@dataclass(frozen=True)
class HeadFineTuning(FineTuning):
    """A linear classifier on the checkpoint's pooled features, layer-normalised per example.

    Args:
        training: Features ``(n, D)``, float32, on the model's device.
        test: Features ``(m, D)``.
        classes: Number of classes.
    """

    training: Tensor
    test: Tensor
    classes: int

    def module(self) -> nn.Module:
        return zero_head(self.training.shape[1], self.classes).to(self.training.device)

    def train_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return self.training[torch.from_numpy(rows)]

    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return self.test[torch.from_numpy(rows)]


@final
@dataclass(frozen=True)
class FullFineTuning(FineTuning):
    """All layers from the checkpoint's weights, the classifier from zeros; class token and position embeddings stay frozen.

    Args:
        model: The checkpoint's; it is copied, never trained.
        training: The training images.
        test: The test images.
    """

    model: TorchModel
    training: PixelStore
    test: PixelStore

    def module(self) -> nn.Module:
        return with_zero_classifier(self.model)

    def train_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return _normalised(self.model, self.training.images(rows))

    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        return _normalised(self.model, self.test.images(rows))


def prepare_head(model: TorchModel, training: Examples, test: Examples, context: Context) -> HeadFineTuning:
    """Extract the features of both splits, continuing where an interrupted pass stopped.

    Raises:
        Unsupported: The architecture offers no features.
        OutOfTime: From the deadline.
    """
    model.require_features()
    return HeadFineTuning(
        _features(model, training, context.scratch / "training-features.f32", context),
        _features(model, test, context.scratch / "test-features.f32", context),
        model.num_classes,
    )


def prepare_all_layers(model: TorchModel, training: Examples, test: Examples, context: Context) -> FullFineTuning:
    """Check that opacus supports the network, then store the pixels of both splits.

    Raises:
        Unsupported: It does not, or the classifier can't be replaced; the message names the module.
        OutOfTime: From the deadline.
    """
    with_zero_classifier(model)
    batch = next(training.batches(2))
    check_per_sample_gradients(_trainable(model), _normalised(model, batch.images), batch.labels.to(model.device))

    def store(name: str, examples: Examples) -> PixelStore:
        return stored(context.scratch / name, [examples], model.input_size, BATCH, context.deadline, context.progress)

    return FullFineTuning(model, store("training-pixels.u8", training), store("test-pixels.u8", test))


def _normalised(model: TorchModel, images: Tensor) -> Tensor:
    # opacus 1.6 computes wrong gradients of a convolution, without an error, for channels-last images, as decoded ones are.
    return model.module.normalise(images.to(model.device)).contiguous(memory_format=torch.contiguous_format)


def _trainable(model: TorchModel) -> nn.Module:
    """A copy with the checkpoint's own classifier: under one of zeros all other gradients would be zero, and any check would pass."""
    network = copy.deepcopy(model.network)
    unfreeze_layers(network)
    return _logits_only(network, model)


def _features(model: TorchModel, examples: Examples, path: Path, context: Context) -> Tensor:
    with torch.inference_mode():
        width = prod(model.features(torch.zeros(1, *model.input_size)).shape[1:])

    def row(batch: Batch) -> NDArray[Any]:
        with torch.inference_mode():
            features: NDArray[Any] = layer_normalised(model.features(batch.images).flatten(1)).cpu().numpy()
        return features

    rows = recorded(RowLog(path, width), examples, BATCH, row, context.deadline, context.progress)
    return torch.from_numpy(rows).to(model.device)


def zero_head(features: int, classes: int) -> nn.Linear:
    """A linear classifier of zeros, so that no seed is involved."""
    with isolated_torch_rng(torch.device("cpu"), 0):
        head = nn.Linear(features, classes)
    for parameter in head.parameters():
        parameter.data.zero_()
    return head


def layer_normalised(features: Tensor) -> Tensor:
    """Features ``(B, D)`` standardised within each example: statistics over examples would cost privacy."""
    return torch.nn.functional.layer_norm(features, features.shape[1:])


def with_zero_classifier(model: TorchModel) -> nn.Module:
    """A copy of the network without preprocessing, all layers trainable, with a classifier of zeros.

    The global random state is left as it was.

    Raises:
        Unsupported: The network neither replaces its classifier itself, as timm's do, nor ends in one linear layer (``no-classifier``).
    """
    network: Any = copy.deepcopy(model.network)
    with isolated_torch_rng(torch.device("cpu"), 0):
        if hasattr(network, "reset_classifier") and hasattr(network, "get_classifier"):
            network.reset_classifier(model.num_classes)
            heads = network.get_classifier()
        elif model.head:
            heads = zero_head(model.classifier().in_features, model.num_classes)
            network.set_submodule(model.head, heads)
        else:
            message = f"the classifier of {type(network).__name__} can't be replaced"
            hint = f"use an architecture that ends in one linear layer, or measure the head only: layers [head]; {HOW_TO_STATE}"
            raise Unsupported("no-classifier", message, hint)
    network.to(model.device)
    unfreeze_layers(network)
    for head in heads if isinstance(heads, tuple | list) else (heads,):
        for layer in head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return _logits_only(network, model)


@final
class _LogitsOnly(nn.Module):
    """A network that returns an object, a tuple or a dictionary, as one that returns logits; without buffers, which opacus does not take.

    Args:
        network: From normalised images.
        output: Which of its outputs are the logits.
    """

    def __init__(self, network: nn.Module, output: str) -> None:
        super().__init__()
        self.network, self.output = network, output

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)`` of normalised images ``(B, 3, H, W)``."""
        return logits_in(self.network(images), self.output)


def _logits_only(network: nn.Module, model: TorchModel) -> nn.Module:
    """The network itself where it returns logits and nothing else."""
    if stated_classifier(network)[0]:
        return network
    with torch.no_grad():
        returned = model.network(torch.zeros((1, *model.input_size), device=model.device))
    return network if isinstance(returned, Tensor) else _LogitsOnly(network, model.module.output)


def unfreeze_layers(network: nn.Module) -> None:
    """Make every layer trainable, except parameters that belong to no layer: class token and position embeddings.

    For those opacus would fall back to functorch on the whole module that holds them, which takes more than twice the time. In timm's networks that is the
    network itself; other libraries have modules in between. Around ``nn.MultiheadAttention`` functorch is the only way, and they are trained.
    """
    network.requires_grad_(requires_grad=True)
    states = stated_classifier(network)[0]
    if not states and any(isinstance(module, nn.MultiheadAttention) for module in network.modules()):
        return
    for holder in network.modules():
        if holder is network or (not states and next(holder.children(), None) is not None):
            for parameter in holder.parameters(recurse=False):
                parameter.requires_grad = False
