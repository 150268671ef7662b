"""What the privacy evaluators yield."""

from efficient360.core.measurement import ONE, Better, Metric

STRONGEST = Metric(
    "strongest_attack_auc",
    ONE,
    Better.LOWER,
    "AUC of the attack that best tells training images from others, of those that ran; 50 % is guessing. Its interval is that attack's own, so it leans high.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
AUC = Metric(
    "attack_auc",
    ONE,
    Better.LOWER,
    "How often the attack ranks a training image above another one; 50 % is guessing, 100 % tells every one.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
BALANCED = Metric(
    "attack_balanced_accuracy",
    ONE,
    Better.LOWER,
    "Share of images, half of them trained on, that the attack puts on the right side; its threshold was chosen on the other half of the images.",
    "Yeom et al. 2018 (their advantage is twice this less one)",
    low=0,
    high=1,
)
TPR = Metric(
    "tpr_at_fpr",
    ONE,
    Better.LOWER,
    "Share of training images that the attack names while wrongly naming no more than the given share of others; guessing names as many as that share.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
TNR = Metric(
    "tnr_at_fnr",
    ONE,
    Better.LOWER,
    "Share of other images that the attack rules out while ruling out no more than the given share of training images. "
    "Needs no shadow models and rises with what attacks that have them find.",
    "Dodd et al. 2025 (arXiv 2510.19773)",
    low=0,
    high=1,
)
PIXELS = Metric(
    "pixel_auc",
    ONE,
    Better.NEITHER,
    "How well the pixels alone tell training images from others, before any model has seen them; off 50 % no attack's number means what it says.",
    "Das, Zhang & Tramèr 2024 (blind baselines)",
    low=0,
    high=1,
)

PRIVATE_ACCURACY = Metric(
    "private_accuracy",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy after fine-tuning under the given ε; under none for comparison.",
    "Abadi et al. 2016, algorithm 1 (DP-SGD)",
    low=0,
    high=1,
)
KEPT = Metric(
    "accuracy_kept",
    ONE,
    Better.HIGHER,
    "Accuracy after private fine-tuning over that of the same fine-tuning without noise, on the same images; 1 is nothing lost.",
    "De et al. 2022 (private against non-private fine-tuning)",
    low=0,
)
SPENT = Metric(
    "epsilon_spent",
    ONE,
    Better.LOWER,
    "ε that the accountant says was spent, at the δ of the evaluator's settings.",
    "Mironov, Talwar & Zhang 2019 (Rényi accountant of the sampled Gaussian mechanism)",
    low=0,
)
