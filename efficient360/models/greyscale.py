"""Weights for images of one channel as weights for images of three, whose luminance they then see; exactly, because both steps are linear."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from efficient360.models.checkpoint import Preprocessing

LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as ITU-R BT.601, Pillow's mode L and torchvision's ``Grayscale`` have it; their sum is 1, so grey stays what it is."""


def first_convolution(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> str:
    """The first convolution over three channels of a network that the weights have over one or three; ``""`` where there is none."""
    for name, shape in wanted.items():
        if len(shape) == 4 and shape[1] == 3:
            has = tuple(tensors[name].shape) if name in tensors else ()
            return name if len(has) == 4 and has[1] in (1, 3) and (has[0], *has[2:]) == (shape[0], *shape[2:]) else ""
    return ""


def weights_for_colour(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with their first convolution taking the luminance of three channels.

    That of a network for colour is summed over its channels first, as timm does when it is asked for ``in_chans=1``.

    Args:
        wanted: Shapes of the network's tensors, for three channels.
        tensors: The file's weights. Without such a convolution they stay as they are.
    """
    name = first_convolution(wanted, tensors)
    if not name:
        return dict(tensors)
    grey = tensors[name].float().sum(dim=1, keepdim=True)
    return {**tensors, name: grey * torch.tensor(LUMINANCE).view(1, 3, 1, 1)}


def grey_digest(digest: str) -> str:
    """The digest of a checkpoint whose weights see the luminance: the same weights may also be evaluated in colour."""
    return hashlib.sha256(f"{digest} luminance".encode()).hexdigest()


def grey_values(preprocessing: Preprocessing) -> Preprocessing:
    """The preprocessing with one mean and one deviation for all channels, as an image of one channel has: those of its luminance."""
    mean, std = (sum(weight * value for weight, value in zip(LUMINANCE, values, strict=True)) for values in (preprocessing.mean, preprocessing.std))
    if len(set(preprocessing.mean)) == len(set(preprocessing.std)) == 1:
        return preprocessing
    return replace(preprocessing, mean=(mean,) * 3, std=(std,) * 3)
