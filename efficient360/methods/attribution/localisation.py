"""Whether an explanation points at the object: with its highest cell, and with all of its positive relevance."""

from torch import Tensor

from efficient360.methods.attribution.regions import Objects


def pointed(values: Tensor, where: Objects) -> Tensor:
    """Whether the middle of each image's highest cell is object (Zhang et al. 2018), bool ``(B,)``; ``False`` where none is marked.

    Args:
        values: ``(B, cells)``.
        where: The objects of the same images.
    """
    return where.centres.gather(1, values.argmax(1, keepdim=True).cpu())[:, 0]


def mass_inside(values: Tensor, where: Objects) -> Tensor:
    """Share of the positive values that lies in the object, float64 ``(B,)`` in [0, 1]; 0 where no value is positive, or no object is marked.

    Arras, Osman & Samek 2022, relevance mass accuracy; a cell's value is spread evenly over its pixels.

    Args:
        values: ``(B, cells)``.
        where: The objects of the same images.
    """
    positive = values.double().cpu().clamp(min=0)
    total = positive.sum(1)
    return ((positive * where.shares).sum(1) / total.where(total > 0, 1)).clamp(0, 1)
