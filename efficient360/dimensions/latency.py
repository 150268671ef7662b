"""The latency axis."""

from efficient360.dimensions.dimension import Dimension

DIMENSION = Dimension(
    name="latency",
    title="Latency",
    question="How fast is it on the device that will run it, and at what energy?",
    order=4,
)
