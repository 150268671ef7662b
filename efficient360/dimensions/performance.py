"""The performance axis: top-1 accuracy."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="performance",
    title="Performance",
    question="How accurate is it?",
    order=1,
    anchors=(Anchor("accuracy", "top1", zero=0.0, one=1.0, source="bounds of the metric"),),
    caveat="Accuracy on one test set: it says nothing about other data, and 1.0 is out of reach where labels are noisy.",
)
