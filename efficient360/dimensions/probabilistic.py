"""The probabilistic quality axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="probabilistic",
    title="Probabilistic quality",
    question="Does it know how sure it may be?",
    order=12,
    anchors=(
        Anchor(
            "calibration", "ece_excess", zero=0.17, one=0.0,
            source="0: the worst vision model of Guo et al. 2017, Table 1 (ResNet-110 on CIFAR-100, ECE 16.5 %); 1: as calibrated as chance allows",
        ),
        Anchor(
            "calibration", "brier", zero=1.0, one=0.0,
            source="0: a uniform guess over many classes, 1 − 1/K (Brier 1950); 1: certain and right",
        ),
    ),
    caveat="Measured on clean test images only: it says nothing yet about images unlike them.",
)
