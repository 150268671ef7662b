"""The transparency axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="transparency",
    title="Transparency",
    question="Can its decisions be explained faithfully?",
    order=9,
)
