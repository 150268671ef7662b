"""A model as a function from pixels to logits. Normalisation happens inside it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.core.batch import Batch
from efficient360.errors import CheckpointError, Unsupported
from efficient360.models.outputs import logits_in
from efficient360.models.view.finding import stated_view, view_of
from efficient360.models.view.head import find_head
from efficient360.models.view.protocol import HOW_TO_STATE, ViTView


class Model(ABC):
    """A function: images float32 ``(B, 3, H, W)`` in [0, 1] → logits float32 ``(B, K)``."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """``K``, the length of a row of logits."""

    @property
    @abstractmethod
    def input_size(self) -> tuple[int, int, int]:
        """``(3, H, W)`` of the images it expects."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Logits float32 ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1]."""

    def logits(self, batch: Batch) -> Tensor:
        """Logits float32 ``(B, K)`` of a batch's clean images, from the shared pass where it has run."""
        if batch.clean_logits is not None:
            return batch.clean_logits
        with torch.inference_mode():
            return self(batch.images)


@final
class PixelsToLogits(nn.Module):
    """Normalise, run the network, take the logits and keep the classes asked for.

    Args:
        network: The bare architecture, on normalised images.
        mean: Per-channel mean to subtract.
        std: Per-channel deviation to divide by.
        keep: Indices of the outputs that are kept, where a data set covers some of the classes; ``None`` keeps all.
        output: Which of several outputs are the logits, see :func:`efficient360.models.outputs.logits_in`.
    """

    mean: Tensor
    std: Tensor
    keep: Tensor | None

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], keep: Sequence[int] | None, output: str = "") -> None:
        super().__init__()
        self.network = network
        self.output = output
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("keep", None if keep is None else torch.tensor(keep, dtype=torch.long))

    def normalise(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] as the network expects them."""
        return (images - self.mean) / self.std

    def all_logits(self, images: Tensor) -> Tensor:
        """Logits float32 of all of the network's classes, of images ``(B, 3, H, W)`` in [0, 1]."""
        output: Any = self.network(self.normalise(images))
        return logits_in(output, self.output).float()

    def forward(self, images: Tensor) -> Tensor:
        """Logits float32 ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1]."""
        logits = self.all_logits(images)
        return logits if self.keep is None else logits[:, self.keep]


@final
@dataclass(frozen=True)
class TorchModel(Model):
    """A network in torch: differentiable from pixels to logits.

    Args:
        module: Pixels in [0, 1] to logits, in eval mode with frozen parameters, on ``device``.
        size: ``(3, H, W)``.
        classes: Number of logits returned.
        device: Where it runs (``cpu``, ``cuda``).
    """

    module: PixelsToLogits
    size: tuple[int, int, int]
    classes: int
    device: str = "cpu"

    @property
    def network(self) -> nn.Module:
        """The bare architecture as timm built it, which expects normalised images."""
        return self.module.network

    @property
    def num_classes(self) -> int:
        return self.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return self.size

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images.to(self.device))
        return logits

    @cached_property
    def stated(self) -> ViTView:
        """What the network states of its own parts; empty where it states nothing.

        Raises:
            CheckpointError: It states a wrong view of itself (``bad-view``).
        """
        return stated_view(self.network)

    @cached_property
    def head(self) -> str:
        """Dotted name, within the network, of the linear layer that returns the logits; empty if there is none."""
        return self.stated.head or find_head(self.network, self.module.all_logits, self.size, self.device)

    @cached_property
    def view(self) -> ViTView:
        """Where the parts of the network lie: found once, by a few passes on random images.

        Raises:
            CheckpointError: As :attr:`stated`.
        """
        return view_of(self.network, self.stated, self.module.all_logits, self.size, self.head, self.device)

    def classifier(self) -> nn.Linear:
        """A copy of the final linear layer, of the classes that are kept: features ``(B, D)`` to logits ``(B, K)``.

        Raises:
            Unsupported: The network ends in no single linear layer.
        """
        head: Any = self.network.get_submodule(self.head) if self.head else None
        if not isinstance(head, nn.Linear):
            message = f"{type(self.network).__name__} does not end in one linear classifier"
            raise Unsupported("no-linear-classifier", message, f"evaluate an architecture that does; {HOW_TO_STATE}")
        rows = slice(None) if self.module.keep is None else self.module.keep
        copy = nn.Linear(head.in_features, self.classes, bias=head.bias is not None, device="meta")  # its own initial weights would draw random numbers
        copy.weight = nn.Parameter(head.weight.detach()[rows].clone(), requires_grad=False)
        if head.bias is not None:
            copy.bias = nn.Parameter(head.bias.detach()[rows].clone(), requires_grad=False)
        return copy.eval()

    def require_features(self) -> None:
        """Ask before any work is done.

        Raises:
            Unsupported: The network offers no features (``no-features``).
        """
        if not (self.head or self.stated.features or _offers_features(self.network)):
            message = f"{type(self.network).__name__} offers no features: its logits are not the outputs of one linear layer"
            raise Unsupported("no-features", message, f"evaluate an architecture that ends in one; {HOW_TO_STATE}")

    def features(self, images: Tensor) -> Tensor:
        """Pooled features before the classifier, float32 ``(B, D)``, of images ``(B, 3, H, W)`` in [0, 1].

        Raises:
            Unsupported: The network offers no features (``no-features``).
        """
        self.require_features()
        if _offers_features(self.network):
            network: Any = self.network
            pooled: Tensor = network.forward_head(network.forward_features(self.module.normalise(images.to(self.device))), pre_logits=True)
            return pooled.float()
        features = self.logits_and_features(images)[1]
        if features is None:
            message = f"the features of {type(self.network).__name__} are no vector an image"
            raise Unsupported("no-features", message, HOW_TO_STATE)
        return features

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits ``(B, K)`` and, where the network offers them, the features ``(B, D)`` before the classifier, from one forward pass.

        Where the network ends in one linear layer, the features are its input; else what the network states, or else as :meth:`features`.
        """
        stated = self.stated.features
        if not (self.head or stated):
            return self(images), self.features(images) if _offers_features(self.network) else None
        seen: list[Any] = []
        if stated:
            hook = self.network.get_submodule(stated).register_forward_hook(lambda _module, _given, output: seen.append(output))
        else:
            hook = self.network.get_submodule(self.head).register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
        with hook:
            logits = self(images)
        flat = len(seen) == 1 and isinstance(seen[0], Tensor) and seen[0].ndim == 2 and len(seen[0]) == len(logits)
        return logits, seen[0].float() if flat else None


def _offers_features(network: nn.Module) -> bool:
    """Whether a library's network offers its features itself, as timm's do."""
    return hasattr(network, "forward_features") and hasattr(network, "forward_head")


def preflight(model: Model, seed: int) -> None:
    """Run two random images twice; refuse a model whose logits can't be trusted.

    Raises:
        CheckpointError: A forward that fails, wrong logit shape, non-finite logits, a forward that is not deterministic, or a network that states a wrong
            view of itself.
    """
    if isinstance(model, TorchModel):
        _ = model.stated
    images = torch.rand((2, *model.input_size), generator=torch.Generator().manual_seed(seed))
    try:
        with torch.inference_mode():
            first, second = model(images), model(images)
    except RuntimeError as error:  # shapes that don't meet, or more memory than there is
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            "forward-failed", f"the model fails on random images of {'x'.join(map(str, model.input_size))}: {reason}", "check the image size and the arguments"
        ) from error
    if tuple(first.shape) != (2, model.num_classes):
        raise CheckpointError(
            "logits-shape",
            f"the model returned logits of shape {tuple(first.shape)} where (2, {model.num_classes}) was expected",
            "give the number of classes it was trained with, --arch-arg num_classes=K",
        )
    if not bool(torch.isfinite(first).all()):
        raise CheckpointError("non-finite-logits", "the model returned NaN or infinite logits on random images", "check how it was trained and saved")
    if not torch.allclose(first, second, rtol=1e-4, atol=1e-5):
        hint = "switch off its randomness (dropout, sampling) in eval mode"
        raise CheckpointError("non-deterministic", "the model gave two different answers to the same images", hint)
