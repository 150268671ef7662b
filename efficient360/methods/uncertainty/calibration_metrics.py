"""Metrics of the calibration evaluator."""

from efficient360.core.measurement import NAT, ONE, Better, Metric

NLL = Metric(
    "nll",
    NAT,
    Better.LOWER,
    "Mean negative log-likelihood of the true class, a proper scoring rule (cross-entropy).",
    "Guo et al. 2017, equation 6",
    low=0,
)
BRIER = Metric(
    "brier",
    ONE,
    Better.LOWER,
    "Squared distance between predicted probabilities and the one-hot label, summed over classes: 0 certain and correct, 2 certain and incorrect.",
    "Brier 1950, equation 2",
    low=0,
    high=2,
)
CONFIDENCE = Metric(
    "confidence",
    ONE,
    Better.NEITHER,
    "Mean probability given to the predicted class.",
    "Hendrycks & Gimpel 2017 (maximum softmax probability)",
    low=0,
    high=1,
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class is the true one.", low=0, high=1)
ECE = Metric(
    "ece",
    ONE,
    Better.LOWER,
    "Expected calibration error: mean gap between confidence and accuracy over equal-mass bins; sampling noise alone raises it above 0.",
    "Guo et al. 2017, equation 3; equal-mass bins of Nixon et al. 2019",
    low=0,
    high=1,
)
ECE_NULL = Metric(
    "ece_null",
    ONE,
    Better.NEITHER,
    "Expected ECE of a perfectly calibrated model with the same confidences on as many examples; its interval holds 95 % of such models.",
    "Bröcker & Smith 2007 (consistency resampling)",
    low=0,
    high=1,
)
ECE_EXCESS = Metric(
    "ece_excess",
    ONE,
    Better.LOWER,
    "Debiased ECE: ECE minus its expectation for a perfectly calibrated model; about 0 when calibrated.",
    "Guo et al. 2017, equation 3, minus the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
OVERCONFIDENCE = Metric(
    "overconfidence",
    ONE,
    Better.NEITHER,
    "Mean confidence minus accuracy: positive is overconfident, negative underconfident; nearer 0 is better.",
    low=-1,
    high=1,
)
TEMPERATURE = Metric(
    "temperature",
    ONE,
    Better.NEITHER,
    "Temperature that minimises NLL: above 1 the model is overconfident, below 1 underconfident. Fitted on all examples; the temperature-scaled metrics use "
    "cross-fitted temperatures.",
    "Guo et al. 2017, section 4.2",
    low=0,
)
CLASSWISE_ECE = Metric(
    "classwise_ece",
    ONE,
    Better.LOWER,
    "Class-wise ECE: calibration error of each class's probability, one against the rest, mean over classes; sampling noise alone raises it above 0.",
    "Kull et al. 2019 (classwise-ECE); equal-mass bins of Nixon et al. 2019",
    low=0,
    high=1,
)
CLASSWISE_EXCESS = Metric(
    "classwise_ece_excess",
    ONE,
    Better.LOWER,
    "Debiased class-wise ECE: minus its expectation for a calibrated model; mean over classes, and the worst class minus the expected worst.",
    "Kull et al. 2019 (classwise-ECE), minus the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
GROUPWISE_EXCESS = Metric(
    "groupwise_ece_excess",
    ONE,
    Better.LOWER,
    "Debiased ECE by group: minus its expectation for a calibrated model of as many examples; mean over groups, and the worst group minus the expected worst.",
    "Guo et al. 2017, equation 3, minus the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
AURC = Metric(
    "aurc",
    ONE,
    Better.LOWER,
    "Area under the risk-coverage curve: error rate among the most confident examples, averaged over all coverages.",
    "Geifman, Uziel & El-Yaniv 2019, section 3",
    low=0,
    high=1,
)
AUGRC = Metric(
    "augrc",
    ONE,
    Better.LOWER,
    "Area under the generalized risk-coverage curve: share of all examples that are accepted and misclassified, averaged over all coverages.",
    "Traub et al. 2024 (AUGRC)",
    low=0,
    high=1,
)
ACCURACY_AT = Metric(
    "accuracy_at_coverage",
    ONE,
    Better.HIGHER,
    "Selective accuracy: accuracy among the most confident examples at a given coverage.",
    "El-Yaniv & Wiener 2010 (selective classification)",
    low=0,
    high=1,
)
ALL = (
    NLL,
    BRIER,
    CONFIDENCE,
    ECE,
    ECE_NULL,
    ECE_EXCESS,
    OVERCONFIDENCE,
    TEMPERATURE,
    CLASSWISE_ECE,
    CLASSWISE_EXCESS,
    GROUPWISE_EXCESS,
    AURC,
    AUGRC,
    ACCURACY_AT,
)
