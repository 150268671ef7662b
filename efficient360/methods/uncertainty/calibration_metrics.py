"""What the calibration evaluator yields."""

from efficient360.core.measurement import NAT, ONE, Better, Metric

NLL = Metric(
    "nll",
    NAT,
    Better.LOWER,
    "Mean negative log-likelihood of the true class: how surprised the model is by the truth.",
    "Guo et al. 2017, equation 6",
    low=0,
)
BRIER = Metric(
    "brier",
    ONE,
    Better.LOWER,
    "Squared distance between the predicted probabilities and the truth, summed over classes: 0 certain and right, 2 certain and wrong.",
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
    "Expected calibration error: mean gap between confidence and accuracy over bins of equal mass; chance alone lifts it above 0.",
    "Guo et al. 2017, equation 3; equal-mass bins of Nixon et al. 2019",
    low=0,
    high=1,
)
ECE_NULL = Metric(
    "ece_null",
    ONE,
    Better.NEITHER,
    "The ECE that a perfectly calibrated model of the same confidences would show on as many examples; its interval holds 95 % of such models.",
    "Bröcker & Smith 2007 (consistency resampling)",
    low=0,
    high=1,
)
ECE_EXCESS = Metric(
    "ece_excess",
    ONE,
    Better.LOWER,
    "ECE beyond what chance gives a perfectly calibrated model; about 0 when calibrated.",
    "Guo et al. 2017, equation 3, less the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
OVERCONFIDENCE = Metric(
    "overconfidence",
    ONE,
    Better.NEITHER,
    "Mean confidence less accuracy: above 0 it claims more than it delivers, below 0 less; nearer 0 is better.",
    low=-1,
    high=1,
)
TEMPERATURE = Metric(
    "temperature",
    ONE,
    Better.NEITHER,
    "What the logits are best divided by: above 1 the model is too sure, below 1 not sure enough. Fitted on all examples; the scaled numbers beside it use "
    "one that the example did not help to fit.",
    "Guo et al. 2017, section 4.2",
    low=0,
)
CLASSWISE_ECE = Metric(
    "classwise_ece",
    ONE,
    Better.LOWER,
    "Calibration error of a class's probability, one against the rest, mean over the classes; chance alone lifts it above 0.",
    "Kull et al. 2019 (classwise-ECE); equal-mass bins of Nixon et al. 2019",
    low=0,
    high=1,
)
CLASSWISE_EXCESS = Metric(
    "classwise_ece_excess",
    ONE,
    Better.LOWER,
    "Class-wise calibration error beyond what chance gives a calibrated model: mean over the classes, and the worst class, which chance also lifts.",
    "Kull et al. 2019 (classwise-ECE), less the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
GROUPWISE_EXCESS = Metric(
    "groupwise_ece_excess",
    ONE,
    Better.LOWER,
    "ECE of each group beyond what chance gives a calibrated model of as many examples: mean over the groups, and the worst group, which chance also lifts.",
    "Guo et al. 2017, equation 3, less the mean under the resampling of Bröcker & Smith 2007",
    low=-1,
    high=1,
)
AURC = Metric(
    "aurc",
    ONE,
    Better.LOWER,
    "Area under the risk-coverage curve: mean error rate among the surest examples, over every share it may answer.",
    "Geifman, Uziel & El-Yaniv 2019, section 3",
    low=0,
    high=1,
)
AUGRC = Metric(
    "augrc",
    ONE,
    Better.LOWER,
    "Area under the generalized risk-coverage curve: mean share of all examples that are answered and wrong, over every share it may answer.",
    "Traub et al. 2024 (AUGRC)",
    low=0,
    high=1,
)
ACCURACY_AT = Metric(
    "accuracy_at_coverage",
    ONE,
    Better.HIGHER,
    "Accuracy where only the surest share of the examples is answered.",
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
