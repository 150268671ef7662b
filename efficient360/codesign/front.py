"""Points that no other beats, and the area that they dominate. Every coordinate is better when it is lower."""

from collections.abc import Sequence

Vector = Sequence[float]


def dominates(a: Vector, b: Vector) -> bool:
    """Whether ``a`` is as good as ``b`` everywhere and better somewhere."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def front(points: Sequence[Vector]) -> list[int]:
    """Indices of the points that none dominates, in ascending order of their first coordinate; equal points are all among them."""
    kept = [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    return sorted(kept, key=lambda i: (*points[i], i))


def hypervolume(points: Sequence[Vector], reference: Vector) -> float:
    """Area that points in a plane dominate below a reference point; 0 without a point below it (Zitzler & Thiele 1999)."""
    inside = sorted({(x, y) for x, y in points if x < reference[0] and y < reference[1]})
    area, ceiling = 0.0, reference[1]
    for x, y in inside:
        if y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return area
