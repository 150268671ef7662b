"""What the conformal evaluator yields."""

from efficient360.core.measurement import ONE, Better, Metric

REMAINING = Metric(
    "remaining_doubt",
    ONE,
    Better.LOWER,
    "Logarithm of the mean set size, to the base of the number of classes: 0 where one class is left, 1 where all are.",
    "the number of labels as the criterion of efficiency, Vovk et al. 2016 (their criterion N), on a logarithmic scale",
    low=0,
    high=1,
)
SET_SIZE = Metric(
    "set_size",
    ONE,
    Better.LOWER,
    "Mean number of classes in a set that holds the true one with the given probability.",
    "Sadinle, Lei & Wasserman 2019 (ambiguity)",
    low=0,
)
COVERAGE = Metric(
    "coverage",
    ONE,
    Better.NEITHER,
    "Share of sets that hold the true class, mean over the splits. It is 1 − alpha for any model, good or bad: off it, examples are not alike.",
    "Vovk, Gammerman & Shafer 2005; Angelopoulos & Bates 2023",
    low=0,
    high=1,
)
SSCV = Metric(
    "sscv",
    ONE,
    Better.LOWER,
    "Size-stratified coverage violation: how far coverage strays from 1 − alpha among sets of some size, at most; chance alone lifts it above 0.",
    "Angelopoulos et al. 2021 (RAPS), SSCV",
    low=0,
    high=1,
)
SSCV_NULL = Metric(
    "sscv_null",
    ONE,
    Better.NEITHER,
    "The violation that sets which cover alike at every size would show on as many examples.",
    "Angelopoulos et al. 2021 (RAPS), SSCV of binomial draws",
    low=0,
    high=1,
)
WORST_CLASS = Metric(
    "worst_class_coverage",
    ONE,
    Better.HIGHER,
    "Coverage of the class that is covered least: sets need not hold for every class what they hold on average.",
    "Vovk 2012 (conditional validity)",
    low=0,
    high=1,
)
WORST_CLASS_NULL = Metric(
    "worst_class_coverage_null",
    ONE,
    Better.NEITHER,
    "Coverage of the least covered class if all classes were covered alike: what chance alone makes of the lowest.",
    "permutation of examples over classes",
    low=0,
    high=1,
)
WORST_GROUP = Metric(
    "worst_group_coverage",
    ONE,
    Better.HIGHER,
    "Coverage of the group that is covered least.",
    "Romano et al. 2020 (equalized coverage)",
    low=0,
    high=1,
)
WORST_GROUP_NULL = Metric(
    "worst_group_coverage_null",
    ONE,
    Better.NEITHER,
    "Coverage of the least covered group if all groups were covered alike.",
    "permutation of examples over groups",
    low=0,
    high=1,
)
EMPTY = Metric(
    "empty_sets",
    ONE,
    Better.NEITHER,
    "Share of sets that hold no class at all: the model is right more often than was asked.",
    "Sadinle, Lei & Wasserman 2019",
    low=0,
    high=1,
)
SINGLETONS = Metric("singleton_sets", ONE, Better.HIGHER, "Share of sets of a single class: answers that leave no doubt.", low=0, high=1)
ALL = (REMAINING, SET_SIZE, COVERAGE, EMPTY, SINGLETONS, SSCV, SSCV_NULL, WORST_CLASS, WORST_CLASS_NULL, WORST_GROUP, WORST_GROUP_NULL)
