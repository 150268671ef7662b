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
        Anchor(
            "conformal", "remaining_doubt", zero=1.0, one=0.0, conditions={"method": "thr", "alpha": "5 %"},
            source="the bounds of the metric itself: sets that hold the truth in 95 % of cases name every class, or one (the smallest sets there are for that "
            "coverage: Sadinle, Lei & Wasserman 2019)",
        ),
    ),
    caveat="All of it is measured on clean test images, and coverage holds only for images like them. The Brier score and the size of prediction sets rise and fall with "
    "accuracy too; calibration alone does not: a model that always says how often each class occurs is calibrated. The raw probabilities count, not the "
    "scaled ones: a temperature is easily fitted, but it has to be.",
    related=("out_of_distribution", "uncertainty"),
)
