"""Identifiers in words: ``weight_bytes`` is "Weight bytes", ``mean_tpr`` is "Mean TPR"."""

from typing import Final

ABBREVIATIONS: Final = {
    "auc": "AUC", "augrc": "AUGRC", "aurc": "AURC", "auroc": "AUROC", "aupr": "AUPR", "cka": "CKA", "cpu": "CPU", "ece": "ECE",
    "fnr": "FNR", "fpr": "FPR", "gpu": "GPU", "macs": "MACs", "mce": "mCE", "mfr": "mFR", "nll": "NLL", "ood": "OOD",
    "rss": "RSS", "top1": "top-1", "tnr": "TNR", "top5": "top-5", "tpr": "TPR", "url": "URL",
}
"""Parts of names that are not plain words."""

WHOLE: Final = {
    "top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "nll": "Negative log-likelihood", "brier": "Brier score", "macs": "MACs", "mce": "mCE", "mfr": "mFR",
    "best_compression": "Times smaller within tolerance", "compression_ratio": "Times smaller", "compressed_bytes": "Compressed file",
    "accuracy_change": "Accuracy, change by compression", "same_answers": "Same answers as before", "macs_ratio": "Times fewer MACs",
    "shift_accuracy": "Accuracy on shifted images", "shift_baseline": "Accuracy on clean images of the same classes", "shift_gap": "Gap to clean images",
    "largest_gap_excess": "Largest accuracy gap beyond chance", "largest_odds_excess": "Largest gap within classes beyond chance",
    "accuracy_difference_excess": "Accuracy difference beyond chance",
    "accuracy_difference_p_value": "Accuracy difference, p-value", "worst_group_accuracy_null": "Worst group by chance alone",
    "equalized_odds_excess": "Equalized odds beyond chance", "equalized_odds_p_value": "Equalized odds, p-value",
    "demographic_parity_excess": "Demographic parity beyond chance", "demographic_parity_p_value": "Demographic parity, p-value",
    "calibration_excess": "Calibration difference beyond chance", "calibration_p_value": "Calibration difference, p-value",
    "worst_class_accuracy_null": "Worst class by chance alone", "lowest_tenth_accuracy": "Lowest tenth of the classes",
    "lowest_tenth_accuracy_null": "Lowest tenth by chance alone", "mean_capture_ratio": "Accuracy kept by poor capture",
    "capture_ratio": "Accuracy kept", "capture_accuracy": "Accuracy under poor capture",
    "strongest_attack_auc": "Strongest membership attack, AUC", "attack_auc": "Membership attack, AUC",
    "attack_balanced_accuracy": "Membership attack, balanced accuracy", "tpr_at_fpr": "Training images named (TPR at FPR)",
    "tnr_at_fnr": "Others ruled out (TNR at FNR)", "pixel_auc": "Told by pixels alone, AUC", "private_accuracy": "Accuracy after private fine-tuning",
    "accuracy_kept": "Accuracy kept under privacy", "epsilon_spent": "ε spent",
    "retention": "Original accuracy kept", "share_of_joint": "Share of joint training", "joint_accuracy": "Accuracy of joint training",
    "ece": "Calibration error (ECE)", "ece_null": "ECE by chance alone", "ece_excess": "ECE beyond chance",
    "stable_rank_ratio": "Stable rank against random weights", "alpha": "Power-law exponent α", "alpha_within": "Matrices with α from 2 to 6",
    "alpha_distance": "Distance from the power law", "log10_norm_product": "Norm product, log₁₀", "log10_spectral_complexity": "Spectral complexity, log₁₀",
    "log10_normalised_margin": "Normalised margin, log₁₀", "local_lipschitz": "Local Lipschitz constant",
    "lipschitz_lower_bound": "Lipschitz constant, at least",
    "classwise_ece": "Calibration error by class", "classwise_ece_excess": "Calibration error by class, beyond chance",
    "groupwise_ece_excess": "Calibration error by group, beyond chance",
    "remaining_doubt": "Doubt that prediction sets leave", "set_size": "Classes in a prediction set", "coverage": "Prediction sets that hold the truth",
    "empty_sets": "Prediction sets of no class", "singleton_sets": "Prediction sets of one class", "sscv": "Coverage off by set size, at most",
    "sscv_null": "Coverage off by set size, by chance alone", "worst_class_coverage": "Least covered class", "worst_group_coverage": "Least covered group",
    "worst_class_coverage_null": "Least covered class by chance alone", "worst_group_coverage_null": "Least covered group by chance alone",
    "auroc": "Own images told from others (AUROC)", "aupr": "Other images found (AUPR)", "fpr95": "Other images let pass (FPR95)",
    "nll_change": "Negative log-likelihood, change by averaging", "error_auroc": "Wrong answers told (AUROC)",
}
"""Names that alone would say too little, or that take no capital."""


def words(name: str) -> str:
    """A snake_case name as a person writes it: ``weight_bytes`` is "Weight bytes", ``ece_excess`` is "ECE beyond chance"."""
    if name in WHOLE:
        return WHOLE[name]
    text = " ".join(ABBREVIATIONS.get(part, part) for part in name.replace("-", "_").split("_") if part)
    return text[:1].upper() + text[1:] if text else name
