"""The privacy axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="privacy",
    title="Privacy",
    question="Does it give away which images it was trained on?",
    order=8,
)
