"""The performance axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="performance",
    title="Performance",
    question="How often is it right?",
    order=1,
    anchors=(Anchor("accuracy", "top1", zero=0.0, one=1.0, source="the bounds of the metric itself"),),
    caveat="Accuracy on one test set: it says nothing about other data, and 1.0 is out of reach where labels are noisy.",
)
