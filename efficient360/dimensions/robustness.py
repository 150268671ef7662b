"""The robustness axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="robustness",
    title="Robustness",
    question="Does it stay right when the image is disturbed, by nature or by an attacker?",
    order=5,
)
