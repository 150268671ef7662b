"""A network for images of another size: its position embeddings resized, its weights unchanged."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.vision_transformer import VisionTransformer as TorchvisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from efficient360.core.text import reason
from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel


def resized(model: TorchModel, side: int) -> TorchModel:
    """The model for square images of another side; changed in place, as far as its network holds a size.

    timm's networks resize position embeddings themselves (bicubic, with antialiasing), torchvision's by its own function; a network without a size of its own
    is taken as it is.

    Args:
        model: A copy of the caller's own.
        side: Pixels.

    Raises:
        Unsupported: It can't run on images of that size (``no-other-size``).
    """
    network: Any = model.network
    if (patch := patch_side(network)) and side % patch:
        message = f"{type(network).__name__} can't run on images of {side} × {side} pixels, which its patches of {patch} pixels don't fill"
        raise Unsupported("no-other-size", message, f"give a multiple of {patch}")
    try:
        with torch.inference_mode(mode=False), torch.no_grad():
            if hasattr(network, "set_input_size"):
                network.set_input_size(img_size=(side, side))
            elif isinstance(network, TorchvisionTransformer):
                _resize_torchvision(network, side)
            model.module(torch.full((1, 3, side, side), 0.5, device=model.device))
    except Exception as error:  # whatever a foreign network raises on images that it was not made for
        message = f"{type(network).__name__} can't run on images of {side} × {side} pixels: {reason(error, 160)}"
        raise Unsupported("no-other-size", message, "keep its input size") from error
    return replace(model, size=(3, side, side))


def resize_images(images: Tensor, side: int) -> Tensor:
    """Images ``(n, 3, side, side)`` of images ``(n, 3, H, W)`` in [0, 1]: bicubic, with antialiasing, clamped; itself where they have that size."""
    if images.shape[-2:] == (side, side):
        return images
    return functional.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def other_sizes(model: TorchModel) -> tuple[int, ...]:
    """Smaller sides that the network's patches fill, about 7/8, 3/4, 5/8 and 1/2 of its own; empty where it is not square or not known."""
    _, height, width = model.size
    patch = patch_side(model.network)
    if height != width or patch < 1:
        return ()
    sides = {round(height * share / patch) * patch for share in (7 / 8, 3 / 4, 5 / 8, 1 / 2)}
    return tuple(sorted((side for side in sides if 2 * patch <= side < height), reverse=True))


def patch_side(network: nn.Module) -> int:
    """Pixels that a side must be a multiple of: the product of the strides of its patches; 0 where it isn't known."""
    embedding = getattr(network, "patch_embed", None)
    size = getattr(embedding, "patch_size", None) if embedding is not None else getattr(network, "patch_size", None)
    side = size[0] if isinstance(size, tuple) else size
    return side if isinstance(side, int) else 0


def _resize_torchvision(network: TorchvisionTransformer, side: int) -> None:
    state = interpolate_embeddings(side, network.patch_size, network.state_dict())
    network.image_size = side
    network.seq_length = (side // network.patch_size) ** 2 + 1
    embedding = state["encoder.pos_embedding"]
    if math.isqrt(embedding.shape[1] - 1) * network.patch_size != side:
        raise ValueError(f"{side} is no multiple of {network.patch_size}")
    network.encoder.pos_embedding = nn.Parameter(embedding, requires_grad=False)
