"""The probabilistic quality axis."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="probabilistic",
    title="Probabilistic quality",
    question="Does it know how sure it may be?",
    order=12,
    anchors=(
        Anchor(
            "calibration",
            "ece_excess",
            zero=0.17,
            one=0.0,
            source="0: the worst vision model of Guo et al. 2017, Table 1 (ResNet-110 on CIFAR-100, ECE 16.5 %); 1: as calibrated as chance allows",
        ),
        Anchor(
            "calibration",
            "brier",
            zero=1.0,
            one=0.0,
            source="0: a uniform guess over many classes, 1 − 1/K (Brier 1950); 1: certain and right",
        ),
        Anchor(
            "conformal",
            "remaining_doubt",
            zero=1.0,
            one=0.0,
            conditions={"method": "thr", "alpha": "5 %"},
            source="the bounds of the metric itself: sets that hold the truth in 95 % of cases name every class, or one (the smallest sets there are for that "
            "coverage: Sadinle, Lei & Wasserman 2019)",
        ),
        Anchor(
            "out_of_distribution",
            "auroc",
            zero=0.5,
            one=1.0,
            conditions={"detector": "msp", "over": "noise"},
            source="0: guessing; 1: it is surer of every image of its own than of any noise (Hendrycks & Gimpel 2017)",
        ),
    ),
    caveat="Calibration, the Brier score and prediction sets are measured on clean test images and hold only for images like them; of images unlike them, "
    "noise alone is scored, the one kind that is unlike any data set. The Brier score and the size of prediction sets follow accuracy too; calibration alone "
    "does not: a model that always says how often each class occurs is calibrated. Raw probabilities count, not those after a temperature, which is easily "
    "fitted but has to be.",
    related=("uncertainty",),
)
