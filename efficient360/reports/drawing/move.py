"""Marks of one drawing in another place, to put it into a larger one."""

from collections.abc import Sequence
from dataclasses import replace

from efficient360.reports.drawing.marks import Mark, Shape


def moved(marks: Sequence[Mark], right: float, down: float) -> list[Mark]:
    """``marks`` shifted by so many px."""
    return [_shape(mark, right, down) if isinstance(mark, Shape) else replace(mark, x=mark.x + right, y=mark.y + down) for mark in marks]


def _shape(shape: Shape, right: float, down: float) -> Shape:
    return replace(shape, lines=tuple(tuple((x + right, y + down) for x, y in line) for line in shape.lines))
