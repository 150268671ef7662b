"""What explanations are measured in."""

from efficient360.core.measurement import ONE, Better, Metric

BEST = Metric(
    "best_faithfulness",
    ONE,
    Better.HIGHER,
    "Faithfulness of the best explainer, chosen on one half of the examples and measured on the other: 0 is no better than a random order of cells.",
    "insertion less deletion of Petsiuk, Das & Saenko 2018, less that of a random order; cross-fitted choice",
    low=-2,
    high=2,
)
FAITHFULNESS = Metric(
    "faithfulness",
    ONE,
    Better.HIGHER,
    "Insertion less deletion area, less the same of a random order on the same image; averaged over what takes the place of removed cells.",
    "Petsiuk, Das & Saenko 2018, less a random order",
    low=-2,
    high=2,
)
INSERTION = Metric(
    "insertion_auc",
    ONE,
    Better.HIGHER,
    "Mean probability of the predicted class while the image's cells are laid over a blank, those that the explanation values most first.",
    "Petsiuk, Das & Saenko 2018 (RISE), insertion",
    low=0,
    high=1,
)
DELETION = Metric(
    "deletion_auc",
    ONE,
    Better.LOWER,
    "Mean probability of the predicted class while the image's cells are taken away, those that the explanation values most first.",
    "Petsiuk, Das & Saenko 2018 (RISE), deletion",
    low=0,
    high=1,
)
INFIDELITY = Metric(
    "infidelity",
    ONE,
    Better.LOWER,
    "Share of the logit's fall under covered squares that the explanation's values, at their best scale, do not foretell; 1 is no better than zeros.",
    "Yeh et al. 2019, with the optimal scale, over that of an explanation of zeros",
    low=0,
    high=1,
)
SENSITIVITY = Metric(
    "max_sensitivity",
    ONE,
    Better.LOWER,
    "Largest relative change of the explanation when every pixel is moved a little at random; 0 for one that never looks at the image.",
    "Yeh et al. 2019",
    low=0,
)
SPARSENESS = Metric(
    "sparseness",
    ONE,
    Better.NEITHER,
    "Gini index of the explanation's absolute values: 0 all cells alike, near 1 all in one cell.",
    "Chalasani et al. 2020; Hurley & Rickard 2009",
    low=0,
    high=1,
)
SIMILARITY = Metric(
    "randomised_similarity",
    ONE,
    Better.LOWER,
    "Rank correlation of the explanation with that of a network whose weights were shuffled: one that stays alike does not explain the weights.",
    "Adebayo et al. 2018",
    low=-1,
    high=1,
)
COMPLETENESS = Metric(
    "completeness",
    ONE,
    Better.HIGHER,
    "Share of examples whose values sum to the difference of logits between the image and the network's mean colour within 5 %.",
    "Sundararajan, Taly & Yan 2017, proposition 1",
    low=0,
    high=1,
)
POINTING = Metric(
    "pointing_accuracy",
    ONE,
    Better.HIGHER,
    "Share of examples where the cell of the highest value lies in a region of the object.",
    "Zhang et al. 2018 (pointing game)",
    low=0,
    high=1,
)

LOCALISATION = Metric(
    "localisation",
    ONE,
    Better.HIGHER,
    "Share of the explanation's positive values that lies in a region of the object; the random order's is about the object's share of the image.",
    "Arras, Osman & Samek 2022 (CLEVR-XAI), relevance mass accuracy",
    low=0,
    high=1,
)

PROBABILITY = Metric("probability", ONE, Better.NEITHER, "Probability of the predicted class with a share of the cells inserted or deleted.", low=0, high=1)
MARKED = Metric("marked", ONE, Better.NEITHER, "Whether the regions mark an object of the example.", low=0, high=1)
POINTED = Metric("pointed", ONE, Better.NEITHER, "Whether the cell of the highest value lies in a marked region.", low=0, high=1)
INSIDE = Metric("inside", ONE, Better.NEITHER, "Share of the positive values that lies in a marked region.", low=0, high=1)
