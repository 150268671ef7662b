"""What the evaluator of uncertainty yields beside the proper scores of calibration."""

from efficient360.core.measurement import NAT, ONE, Better, Metric

NLL_CHANGE = Metric(
    "nll_change",
    NAT,
    Better.LOWER,
    "Negative log-likelihood of the averaged answer less that of the plain answer, on the same images: below 0 averaging helps.",
    "Daxberger et al. 2021",
)
ENTROPY = Metric(
    "predictive_entropy",
    NAT,
    Better.NEITHER,
    "Mean entropy of the averaged answer: how unsure the model is, for whatever reason.",
    "Gal 2016, section 3.3.1",
    low=0,
)
MUTUAL_INFORMATION = Metric(
    "mutual_information",
    NAT,
    Better.NEITHER,
    "Mean entropy of the averaged answer less the mean entropy of the single answers: what is unsure because the weights are (BALD).",
    "Houlsby et al. 2011",
    low=0,
)
ERROR_AUROC = Metric(
    "error_auroc",
    ONE,
    Better.HIGHER,
    "How often a wrong answer is held for less sure than a right one, ties counting half; 50 % is guessing.",
    "Hendrycks & Gimpel 2017 (error and success prediction)",
    low=0,
    high=1,
)
