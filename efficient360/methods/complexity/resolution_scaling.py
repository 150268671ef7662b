"""Scaling of MACs with image resolution: counts at several sizes, and the exponent of a power law fitted to them."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from scipy import stats
from torch import nn

from efficient360.core.measurement import LEVEL, Interval
from efficient360.errors import CheckpointError, Unsupported
from efficient360.methods.complexity.mac_count import reference_macs, structure_copy
from efficient360.models.architectures import skeleton


@final
@dataclass(frozen=True)
class ScalingLaw:
    """``MACs = factor · pixels ** exponent``, fitted by least squares on the logarithms.

    Args:
        exponent: 1 is linear in the number of pixels, 2 quadratic.
        factor: MACs extrapolated to an image of one pixel.
        interval: 95 % interval of the exponent from the residuals (Student's t); it widens if the growth is no power law.
        r_squared: Share of the variance of log MACs that the line explains, in [0, 1].
    """

    exponent: float
    factor: float
    interval: Interval
    r_squared: float


def fit_scaling_law(pixels: Sequence[int], macs: Sequence[int]) -> ScalingLaw:
    """Least squares of log MACs on log pixels.

    Args:
        pixels: Pixels of an image, at least three different values.
        macs: MACs at each, positive.
    """
    line = stats.linregress([math.log(n) for n in pixels], [math.log(n) for n in macs])
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(pixels) - 2)) * float(line.stderr)
    exponent = float(line.slope)
    return ScalingLaw(
        exponent=exponent,
        factor=math.exp(float(line.intercept)),
        interval=Interval(exponent - half, exponent + half, "regression"),
        r_squared=float(line.rvalue) ** 2,
    )


def macs_at_sizes(
    network: nn.Module, architecture: str, arguments: Mapping[str, Any], input_size: tuple[int, int, int], scales: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """MACs of one image at multiples of its expected side, counted from shapes alone on the ``meta`` device.

    A network that accepts larger images is given them. One that is tied to its size is rebuilt by timm with ``img_size``, provided that
    the rebuilt network costs as much at the expected size: a pruned network, or one with merged tokens, is no longer what its
    architecture's name says.

    Args:
        network: The bare architecture, on normalised images.
        architecture: timm architecture name.
        arguments: Keyword arguments it was built with.
        input_size: ``(3, H, W)`` that it expects.
        scales: Multiples of the side, starting with 1.

    Returns:
        ``(pixels, MACs)`` for each scale.

    Raises:
        Unsupported: It accepts no other size.
    """
    channels, height, width = input_size
    sizes = [(height * scale, width * scale) for scale in scales]
    try:
        points = tuple((h * w, _macs(network, channels, h, w)) for h, w in sizes)
    except Exception:  # whatever third-party code raises, the network does not accept larger images
        return _rebuilt(network, architecture, arguments, channels, sizes)
    # Equal MACs mean that it resizes every image to its own size first.
    return points if len(set(dict(points).values())) == len(points) else _rebuilt(network, architecture, arguments, channels, sizes)


def _rebuilt(
    network: nn.Module, architecture: str, arguments: Mapping[str, Any], channels: int, sizes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    try:
        own = _macs(network, channels, *sizes[0])
        points = tuple((h * w, _macs(_of_size(architecture, arguments, h, w), channels, h, w)) for h, w in sizes)
    except Exception as error:
        no_argument = isinstance(error, CheckpointError) and error.code == "architecture-arguments"
        cause = "nothing in its arguments sets another" if no_argument else _first_line(error)
        height, width = sizes[0]
        raise Unsupported(
            "fixed-resolution",
            f"{architecture or type(network).__name__} accepts images of {height} x {width} only: {cause}",
            "scaling with resolution needs an architecture that accepts larger images, or an argument img_size or image_size",
        ) from error
    if points[0][1] != own:
        raise Unsupported(
            "changed-architecture",
            f"the network costs {own:,} MACs where {architecture} costs {points[0][1]:,}: it was modified after it was built",
            "measure the scaling of the unmodified checkpoint",
        )
    return points


def _of_size(architecture: str, arguments: Mapping[str, Any], height: int, width: int) -> nn.Module:
    """The architecture without data for images of a size: timm's ``img_size``; or ``image_size``, one number, as torchvision and others call it."""
    try:
        return skeleton(architecture, {**arguments, "img_size": (height, width)})
    except CheckpointError:
        if height != width:
            raise
        with contextlib.suppress(CheckpointError):
            return skeleton(architecture, {**arguments, "image_size": height})
        raise


def _macs(network: nn.Module, channels: int, height: int, width: int) -> int:
    return reference_macs(structure_copy(network, "meta"), torch.empty(1, channels, height, width, device="meta"))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
