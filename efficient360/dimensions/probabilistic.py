"""The probabilistic quality axis: calibration, conformal set size, OOD detection."""

from efficient360.dimensions.dimension import Anchor, Dimension

DIMENSION = Dimension(
    name="probabilistic",
    title="Probabilistic quality",
    question="How good are its probabilities and uncertainty estimates?",
    order=12,
    anchors=(
        Anchor(
            "calibration",
            "ece_excess",
            zero=0.17,
            one=0.0,
            settings={"bins": 15},
            source="0: the worst-calibrated vision model of Guo et al. 2017, Table 1 (ResNet-110 on CIFAR-100, ECE 16.5 %); 1: perfectly calibrated",
        ),
        Anchor(
            "calibration",
            "brier",
            zero=1.0,
            one=0.0,
            source="0: uniform prediction over many classes, 1 − 1/K (Brier 1950); 1: certain and correct",
        ),
        Anchor(
            "conformal",
            "remaining_doubt",
            zero=1.0,
            one=0.0,
            conditions={"method": "thr", "alpha": "5 %"},
            source="bounds of the metric: prediction sets with 95 % coverage contain all classes, or one (THR gives the smallest sets at that "
            "coverage: Sadinle, Lei & Wasserman 2019)",
        ),
        Anchor(
            "out_of_distribution",
            "auroc",
            zero=0.5,
            one=1.0,
            conditions={"detector": "msp", "over": "noise"},
            source="0: chance; 1: more confident on every in-distribution image than on any noise image (Hendrycks & Gimpel 2017)",
        ),
    ),
    caveat="Calibration, Brier score and prediction sets are measured in distribution. OOD detection is scored on noise only, which is out of distribution for "
    "every data set. Brier score and set size also depend on accuracy; calibration does not: predicting the class frequencies for every image is calibrated. "
    "Scores use uncalibrated probabilities, without temperature scaling.",
    related=("uncertainty",),
)
