"""The inclusiveness axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="inclusiveness",
    title="Inclusiveness",
    question="Who and what is left out: rare classes, poor cameras, small devices?",
    order=7,
)
