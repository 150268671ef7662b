"""The metrics of group fairness."""

from efficient360.core.measurement import ONE, Better, Metric

LARGEST = Metric(
    "largest_gap_excess",
    ONE,
    Better.LOWER,
    "Accuracy difference beyond chance of the grouping where it is largest; about 0 when all groups have equal accuracy. Over the group columns of the data "
    "set; where it has none, over proxies computed from the pixels.",
    "difference of Bird et al. 2020 (fairlearn), minus its mean under permuted groups",
    low=-1,
    high=1,
)
LARGEST_ODDS = Metric(
    "largest_odds_excess",
    ONE,
    Better.LOWER,
    "Equalized odds difference beyond chance, mean over the classes, of the grouping where it is largest; about 0 when every class has equal rates "
    "in all groups. Groupings as for the largest accuracy gap.",
    "Hardt, Price & Srebro 2016, definition 2.1, one against the rest, minus the mean under groups permuted within classes",
    low=-1,
    high=1,
)
DIFFERENCE = Metric(
    "accuracy_difference",
    ONE,
    Better.LOWER,
    "Accuracy of the best group minus that of the worst; chance alone raises it above 0, the more so the more and the smaller the groups.",
    "Bird et al. 2020 (fairlearn, MetricFrame.difference)",
    low=0,
    high=1,
)
EXCESS = Metric(
    "accuracy_difference_excess",
    ONE,
    Better.LOWER,
    "Accuracy difference minus its mean by chance for groups of these sizes; about 0 when all groups have equal accuracy.",
    "difference of Bird et al. 2020 (fairlearn), minus its mean under permuted groups",
    low=-1,
    high=1,
)
P_VALUE = Metric(
    "accuracy_difference_p_value",
    ONE,
    Better.NEITHER,
    "Probability of so large an accuracy difference if all groups have equal accuracy, adjusted for the number of groupings tested.",
    "permutation test (Phipson & Smyth 2010), adjusted by Holm 1979",
    low=0,
)
RATIO = Metric(
    "accuracy_ratio",
    ONE,
    Better.HIGHER,
    "Accuracy of the worst group over that of the best; chance alone lowers it.",
    "Bird et al. 2020 (fairlearn, MetricFrame.ratio)",
    low=0,
    high=1,
)
WORST = Metric(
    "worst_group_accuracy",
    ONE,
    Better.HIGHER,
    "Accuracy of the worst group; selecting the lowest lowers it by chance alone: compare worst_group_accuracy_null.",
    "Sagawa et al. 2020",
    low=0,
    high=1,
)
WORST_NULL = Metric(
    "worst_group_accuracy_null",
    ONE,
    Better.NEITHER,
    "Accuracy of the worst group by chance alone if all groups had equal accuracy; its interval holds 95 % of such cases.",
    "mean under permuted groups",
    low=0,
    high=1,
)
GROUP = Metric(
    "group_accuracy", ONE, Better.HIGHER, "Accuracy of one group, however small.", "Bird et al. 2020 (fairlearn, MetricFrame.by_group)", low=0, high=1
)
ODDS = Metric(
    "equalized_odds_difference",
    ONE,
    Better.LOWER,
    "Largest difference between groups in the true or the false positive rate of a class against the rest: mean over the classes, and the worst class.",
    "Hardt, Price & Srebro 2016, definition 2.1; difference of Bird et al. 2020 (fairlearn), one against the rest",
    low=0,
    high=1,
)
ODDS_EXCESS = Metric(
    "equalized_odds_excess",
    ONE,
    Better.LOWER,
    "Equalized odds difference minus its mean by chance, with groups permuted within each class.",
    "as equalized_odds_difference, minus its mean under permuted groups",
    low=-1,
    high=1,
)
ODDS_P = Metric(
    "equalized_odds_p_value",
    ONE,
    Better.NEITHER,
    "Probability of so large an equalized odds difference if all groups have equal rates within every class, adjusted for the number of groupings.",
    "permutation test (Phipson & Smyth 2010), adjusted by Holm 1979",
    low=0,
)
PARITY = Metric(
    "demographic_parity_difference",
    ONE,
    Better.NEITHER,
    "Difference between groups in the selection rate of a class (how often it is predicted): mean over the classes, and the worst class. Where the class "
    "frequencies themselves differ between groups, a perfect classifier shows one too.",
    "Calders & Verwer 2010; difference of Bird et al. 2020 (fairlearn), one against the rest",
    low=0,
    high=1,
)
PARITY_EXCESS = Metric(
    "demographic_parity_excess",
    ONE,
    Better.NEITHER,
    "Demographic parity difference minus its mean by chance, with groups permuted.",
    "as demographic_parity_difference, minus its mean under permuted groups",
    low=-1,
    high=1,
)
PARITY_P = Metric(
    "demographic_parity_p_value",
    ONE,
    Better.NEITHER,
    "Probability of so large a demographic parity difference if predictions do not depend on the group, adjusted for the number of groupings.",
    "permutation test (Phipson & Smyth 2010), adjusted by Holm 1979",
    low=0,
)
CALIBRATION = Metric(
    "calibration_difference",
    ONE,
    Better.LOWER,
    "Overconfidence (mean confidence minus accuracy) of the group where it is highest minus that of the group where it is lowest; 0 when equal.",
    "calibration within groups, Pleiss et al. 2017",
    low=0,
    high=2,
)
CALIBRATION_EXCESS = Metric(
    "calibration_excess",
    ONE,
    Better.LOWER,
    "Calibration difference minus its mean by chance, with groups permuted.",
    "as calibration_difference, minus its mean under permuted groups",
    low=-2,
    high=2,
)
CALIBRATION_P = Metric(
    "calibration_p_value",
    ONE,
    Better.NEITHER,
    "Probability of so large a calibration difference if all groups are equally calibrated, adjusted for the number of groupings.",
    "permutation test (Phipson & Smyth 2010), adjusted by Holm 1979",
    low=0,
)
ALL = (
    LARGEST,
    LARGEST_ODDS,
    DIFFERENCE,
    EXCESS,
    P_VALUE,
    RATIO,
    WORST,
    WORST_NULL,
    ODDS,
    ODDS_EXCESS,
    ODDS_P,
    PARITY,
    PARITY_EXCESS,
    PARITY_P,
    CALIBRATION,
    CALIBRATION_EXCESS,
    CALIBRATION_P,
    GROUP,
)
