"""The fairness axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="fairness",
    title="Fairness",
    question="Is it equally right for different groups?",
    order=6,
)
