"""The approximation axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="approximation",
    title="Approximation",
    question="How far can it be compressed before it gets worse?",
    order=13,
)
