"""The metrics of membership inference and private training."""

from efficient360.core.measurement import ONE, Better, Metric

STRONGEST = Metric(
    "strongest_attack_auc",
    ONE,
    Better.LOWER,
    "AUC of the attack that best separates members from non-members, of those that ran; 50 % is guessing.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
AUC = Metric(
    "attack_auc",
    ONE,
    Better.LOWER,
    "Probability that the attack ranks a member (training image) above a non-member; 50 % is guessing, 100 % perfect separation.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
BALANCED = Metric(
    "attack_balanced_accuracy",
    ONE,
    Better.LOWER,
    "Accuracy of the attack on equally many members and non-members, with a threshold chosen on the other half of the images.",
    "Yeom et al. 2018 (their advantage is twice this minus one)",
    low=0,
    high=1,
)
TPR = Metric(
    "tpr_at_fpr",
    ONE,
    Better.LOWER,
    "Share of members identified (true positive rate) at the given false positive rate; guessing gives a share equal to that rate.",
    "Carlini et al. 2022",
    low=0,
    high=1,
)
TNR = Metric(
    "tnr_at_fnr",
    ONE,
    Better.LOWER,
    "Share of non-members identified (true negative rate) at the given false negative rate. Without shadow models it predicts the vulnerability "
    "that shadow-model attacks find.",
    "Dodd et al. 2025 (arXiv 2510.19773)",
    low=0,
    high=1,
)
BLIND = Metric(
    "pixel_auc",
    ONE,
    Better.NEITHER,
    "AUC of a blind baseline that separates members from non-members by their pixels, without the model; above 50 % the attacks' numbers are not valid.",
    "Das, Zhang & Tramèr 2024 (blind baselines)",
    low=0,
    high=1,
)

PRIVATE_ACCURACY = Metric(
    "private_accuracy",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy after fine-tuning with DP-SGD under the given ε; without noise for comparison.",
    "Abadi et al. 2016, algorithm 1 (DP-SGD)",
    low=0,
    high=1,
)
KEPT = Metric(
    "accuracy_kept",
    ONE,
    Better.HIGHER,
    "Accuracy after private fine-tuning relative to the same fine-tuning without noise, on the same images; 1 is no loss.",
    "De et al. 2022 (private against non-private fine-tuning)",
    low=0,
)
SPENT = Metric(
    "epsilon_spent",
    ONE,
    Better.LOWER,
    "Privacy budget ε spent according to the accountant, at the δ of the evaluator's settings.",
    "Mironov, Talwar & Zhang 2019 (Rényi accountant of the sampled Gaussian mechanism)",
    low=0,
)
