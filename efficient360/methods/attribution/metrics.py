"""Metrics of attribution methods."""

from efficient360.core.measurement import ONE, Better, Metric

BEST = Metric(
    "best_faithfulness",
    ONE,
    Better.HIGHER,
    "Faithfulness of the best attribution method, selected on one half of the examples and evaluated on the other: 0 is no better than random attributions.",
    "insertion minus deletion of Petsiuk, Das & Saenko 2018, minus that of random attributions; cross-fitted selection",
    low=-2,
    high=2,
)
FAITHFULNESS = Metric(
    "faithfulness",
    ONE,
    Better.HIGHER,
    "Insertion minus deletion AUC, minus that of random attributions on the same image; mean over the baselines.",
    "Petsiuk, Das & Saenko 2018, minus random attributions",
    low=-2,
    high=2,
)
INSERTION = Metric(
    "insertion_auc",
    ONE,
    Better.HIGHER,
    "Area under the insertion curve: probability of the predicted class as the image's cells are inserted into a baseline image, highest attribution first.",
    "Petsiuk, Das & Saenko 2018 (RISE), insertion",
    low=0,
    high=1,
)
DELETION = Metric(
    "deletion_auc",
    ONE,
    Better.LOWER,
    "Area under the deletion curve: probability of the predicted class as the image's cells are replaced by a baseline image, highest attribution first.",
    "Petsiuk, Das & Saenko 2018 (RISE), deletion",
    low=0,
    high=1,
)
INFIDELITY = Metric(
    "infidelity",
    ONE,
    Better.LOWER,
    "Fraction of the squared logit drops under masked squares that the attributions, at their optimal scale, do not predict; 1 is no better than zeros.",
    "Yeh et al. 2019, with optimal scaling, divided by that of all-zero attributions",
    low=0,
    high=1,
)
SENSITIVITY = Metric(
    "max_sensitivity",
    ONE,
    Better.LOWER,
    "Largest relative change of the attributions under small random noise on the image; 0 for a method that ignores the image.",
    "Yeh et al. 2019",
    low=0,
)
SPARSENESS = Metric(
    "sparseness",
    ONE,
    Better.NEITHER,
    "Gini index of the absolute attributions: 0 if all cells are equal, near 1 if all is in one cell.",
    "Chalasani et al. 2020; Hurley & Rickard 2009",
    low=0,
    high=1,
)
SIMILARITY = Metric(
    "randomised_similarity",
    ONE,
    Better.LOWER,
    "Model parameter randomisation test: rank correlation with the attributions of a network with permuted parameters; 1 means they ignore the model.",
    "Adebayo et al. 2018",
    low=-1,
    high=1,
)
COMPLETENESS = Metric(
    "completeness",
    ONE,
    Better.HIGHER,
    "Fraction of examples whose attributions sum to the difference of logits between image and zero-input baseline within 5 %.",
    "Sundararajan, Taly & Yan 2017, proposition 1",
    low=0,
    high=1,
)
POINTING = Metric(
    "pointing_accuracy",
    ONE,
    Better.HIGHER,
    "Pointing game: fraction of examples whose highest cell lies on an annotated object.",
    "Zhang et al. 2018 (pointing game)",
    low=0,
    high=1,
)
LOCALISATION = Metric(
    "localisation",
    ONE,
    Better.HIGHER,
    "Relevance mass accuracy: fraction of the positive attributions on annotated objects; for random attributions about the objects' fraction of the image.",
    "Arras, Osman & Samek 2022 (CLEVR-XAI), relevance mass accuracy",
    low=0,
    high=1,
)

PROBABILITY = Metric("probability", ONE, Better.NEITHER, "Probability of the predicted class with a fraction of the cells inserted or deleted.", low=0, high=1)
MARKED = Metric("marked", ONE, Better.NEITHER, "Whether the example has an annotated object.", low=0, high=1)
POINTED = Metric("pointed", ONE, Better.NEITHER, "Whether the highest cell lies on an annotated object.", low=0, high=1)
INSIDE = Metric("inside", ONE, Better.NEITHER, "Fraction of the positive attributions on annotated objects.", low=0, high=1)
