"""What the evaluator of images unlike its own yields."""

from efficient360.core.measurement import ONE, Better, Metric

AUROC = Metric(
    "auroc",
    ONE,
    Better.HIGHER,
    "How often an in-distribution image scores higher than one that is not, ties counting half; 50 % is guessing, less is surer where it should be less sure.",
    "Hendrycks & Gimpel 2017",
    low=0,
    high=1,
)
AUPR = Metric(
    "aupr",
    ONE,
    Better.HIGHER,
    "Average precision of finding the images that are out of distribution, as if there were as many of either; 50 % is guessing.",
    "Hendrycks & Gimpel 2017 (abnormal class positive), both sides weighted the same",
    low=0,
    high=1,
)
FPR95 = Metric(
    "fpr95",
    ONE,
    Better.LOWER,
    "Share of images out of distribution that pass for in-distribution at the threshold that 95 % of the in-distribution images pass; guessing lets 95 % pass.",
    "Liang, Li & Srikant 2018, section 4.3",
    low=0,
    high=1,
)
