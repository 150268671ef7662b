"""Identifiers in words: ``weight_bytes`` is "Weight bytes", ``tpr_at_fpr`` is "TPR at FPR"."""

from typing import Final

ABBREVIATIONS: Final = {
    "auc": "AUC", "aurc": "AURC", "auroc": "AUROC", "aupr": "AUPR", "cka": "CKA", "cpu": "CPU", "ece": "ECE", "fpr": "FPR", "gpu": "GPU",
    "macs": "MACs", "mce": "mCE", "nll": "NLL", "ood": "OOD", "rss": "RSS", "top1": "top-1", "top5": "top-5", "tpr": "TPR", "url": "URL",
}
"""Parts of names that are not plain words."""

WHOLE: Final = {
    "top1": "Top-1 accuracy", "top5": "Top-5 accuracy", "nll": "Negative log-likelihood", "brier": "Brier score", "macs": "MACs", "mce": "mCE",
    "ece": "Calibration error (ECE)", "ece_null": "ECE by chance alone", "ece_excess": "ECE beyond chance",
}
"""Names that alone would say too little, or that take no capital."""


def words(name: str) -> str:
    """A snake_case name as a person writes it: ``weight_bytes`` is "Weight bytes", ``ece_excess`` is "ECE beyond chance"."""
    if name in WHOLE:
        return WHOLE[name]
    text = " ".join(ABBREVIATIONS.get(part, part) for part in name.replace("-", "_").split("_") if part)
    return text[:1].upper() + text[1:] if text else name
