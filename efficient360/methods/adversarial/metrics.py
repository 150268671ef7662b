"""What robustness to attacks is measured in."""

from efficient360.core.measurement import ONE, Better, Metric

WORST = "worst case"
"""The value of the condition ``attack`` under which every attack counts."""

ROBUST = Metric(
    "robust_accuracy",
    ONE,
    Better.HIGHER,
    "Share of images that are named rightly and stay so under every attack within ε: an upper bound of the true share, tighter the stronger the attacks.",
    "Croce & Hein 2020, section 5; Croce et al. 2021 (RobustBench)",
    low=0,
    high=1,
)
MEDIAN = Metric(
    "median_epsilon",
    ONE,
    Better.HIGHER,
    "The ε, with pixels in [0, 1], at which half of the rightly named images have fallen: their median minimal perturbation, from above.",
    "Brendel et al. 2019 (median perturbation size), interpolated on a grid of ε",
    low=0,
)
RIGHT = Metric("right", ONE, Better.HIGHER, "Whether the example is named rightly when nothing is changed.", low=0, high=1)
AT = Metric("fell_at", ONE, Better.NEITHER, "Place of the smallest ε that an example fell at, from 0; the number of ε where it stands.", low=0)
BY = Metric("fell_to", ONE, Better.NEITHER, "Place of the attack that an example fell to, from 0; the number of attacks where it stands.", low=0)
