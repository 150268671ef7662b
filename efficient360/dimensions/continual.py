"""The continual learning axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="continual",
    title="Continual learning",
    question="Does it keep what it knew when it learns something new?",
    order=11,
)
