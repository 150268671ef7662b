"""Metrics of the conformal evaluator."""

from efficient360.core.measurement import ONE, Better, Metric

LOG_SET_SIZE = Metric(
    "remaining_doubt",
    ONE,
    Better.LOWER,
    "Conformal set size, log-normalised: logarithm of the mean set size to the base of the number of classes; 0 for one class, 1 for all.",
    "the number of labels as the criterion of efficiency, Vovk et al. 2016 (their criterion N), on a logarithmic scale",
    low=0,
    high=1,
)
SET_SIZE = Metric(
    "set_size",
    ONE,
    Better.LOWER,
    "Mean number of classes in a prediction set with the given nominal coverage.",
    "Sadinle, Lei & Wasserman 2019 (ambiguity)",
    low=0,
)
COVERAGE = Metric(
    "coverage",
    ONE,
    Better.NEITHER,
    "Share of prediction sets that contain the true class, mean over splits: 1 − alpha for any model, unless examples are not exchangeable.",
    "Vovk, Gammerman & Shafer 2005; Angelopoulos & Bates 2023",
    low=0,
    high=1,
)
SSCV = Metric(
    "sscv",
    ONE,
    Better.LOWER,
    "Size-stratified coverage violation: largest deviation of coverage from 1 − alpha over strata of set size; sampling noise alone raises it above 0.",
    "Angelopoulos et al. 2021 (RAPS), SSCV",
    low=0,
    high=1,
)
SSCV_NULL = Metric(
    "sscv_null",
    ONE,
    Better.NEITHER,
    "Expected size-stratified coverage violation if coverage were the same at every set size, on as many examples.",
    "Angelopoulos et al. 2021 (RAPS), SSCV of binomial draws",
    low=0,
    high=1,
)
WORST_CLASS = Metric(
    "worst_class_coverage",
    ONE,
    Better.HIGHER,
    "Coverage of the class with the lowest coverage: marginal coverage does not imply class-conditional coverage.",
    "Vovk 2012 (conditional validity)",
    low=0,
    high=1,
)
WORST_CLASS_NULL = Metric(
    "worst_class_coverage_null",
    ONE,
    Better.NEITHER,
    "Expected coverage of the lowest class if all classes had the same coverage.",
    "permutation of examples over classes",
    low=0,
    high=1,
)
WORST_GROUP = Metric(
    "worst_group_coverage",
    ONE,
    Better.HIGHER,
    "Coverage of the group with the lowest coverage.",
    "Romano et al. 2020 (equalized coverage)",
    low=0,
    high=1,
)
WORST_GROUP_NULL = Metric(
    "worst_group_coverage_null",
    ONE,
    Better.NEITHER,
    "Expected coverage of the lowest group if all groups had the same coverage.",
    "permutation of examples over groups",
    low=0,
    high=1,
)
EMPTY = Metric(
    "empty_sets",
    ONE,
    Better.NEITHER,
    "Share of empty prediction sets: the model is more accurate than the nominal coverage.",
    "Sadinle, Lei & Wasserman 2019",
    low=0,
    high=1,
)
SINGLETONS = Metric("singleton_sets", ONE, Better.HIGHER, "Share of prediction sets with a single class: unambiguous predictions.", low=0, high=1)
ALL = (LOG_SET_SIZE, SET_SIZE, COVERAGE, EMPTY, SINGLETONS, SSCV, SSCV_NULL, WORST_CLASS, WORST_CLASS_NULL, WORST_GROUP, WORST_GROUP_NULL)
