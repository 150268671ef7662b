"""An axis over it."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="murk",
    title="Murk",
    question="Does it see in fog and dusk?",
    order=99,
    anchors=(Anchor("contrast", "contrast_accuracy", zero=0.0, one=1.0, source="the bounds of the metric itself", conditions={"contrast": 0.25}),),
)
