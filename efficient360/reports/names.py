"""Display texts for stored names: metric titles, conditions, identifiers. What is stored keeps its own names."""

from collections.abc import Sequence
from typing import Final

from efficient360.core.formatting import trimmed
from efficient360.core.measurement import Conditions, Scalar
from efficient360.core.outcome import Record

ABBREVIATIONS: Final = {
    "auc": "AUC",
    "auroc": "AUROC",
    "cpu": "CPU",
    "cpus": "CPUs",
    "ece": "ECE",
    "gpu": "GPU",
    "gpus": "GPUs",
    "macs": "MACs",
    "nll": "NLL",
    "npu": "NPU",
    "ood": "OOD",
    "os": "OS",
    "p50": "p50",
    "rss": "RSS",
    "top1": "top-1",
    "top5": "top-5",
    "url": "URL",
}
"""Parts of identifiers that are not plain words."""

TITLES: Final = {
    # performance
    "top1": "Top-1 accuracy",
    "top5": "Top-5 accuracy",
    "balanced_accuracy": "Balanced accuracy",
    # memory, computation
    "weight_bytes": "Weight size",
    "weight_memory": "Weight memory",
    "activation_peak": "Peak activation memory",
    "process_peak": "Peak process memory (RSS)",
    "cuda_peak": "Peak GPU memory",
    "macs": "MACs",
    "activations": "Activations",
    "macs_growth": "MACs scaling exponent",
    # latency, acceleration
    "latency_p50": "Median latency",
    "latency_p90": "p90 latency",
    "latency_p99": "p99 latency",
    "best_latency": "Best latency",
    "best_throughput": "Best throughput",
    "cold_start": "Cold-start time",
    "runtime_memory": "Peak runtime memory (RSS)",
    "artefact_bytes": "Artefact size",
    "logit_difference": "Logit difference to the checkpoint",
    "top1_agreement": "Top-1 agreement with the checkpoint",
    "utilisation": "Utilisation of measured peak",
    "twin_ratio": "Speed relative to a CNN of equal MACs",
    "product_time_share": "Time in matrix products and convolutions",
    "partitions": "Graph partitions",
    "peak_macs": "Measured peak MAC rate",
    "npu_estimate": "NPU latency (compiler estimate)",
    "npu_operators": "Operators on the NPU",
    # robustness
    "corruption_accuracy": "Accuracy under corruption",
    "mean_corruption_error": "Mean corruption error, unnormalised",
    "relative_corruption_error": "Relative corruption error, unnormalised",
    "mce": "mCE",
    "relative_mce": "Relative mCE",
    "mean_flip_rate": "Mean flip rate, unnormalised",
    "flip_rate": "Flip probability",
    "mfr": "mFR",
    "robust_accuracy": "Robust accuracy",
    "median_epsilon": "Median minimal perturbation (ε)",
    "median_queries": "Median queries per adversarial example",
    "shift_accuracy": "Accuracy under distribution shift",
    "shift_baseline": "Accuracy on the original test set, same classes",
    "shift_gap": "Accuracy drop under distribution shift",
    # fairness, inclusiveness
    "largest_gap_excess": "Largest debiased accuracy difference",
    "largest_odds_excess": "Largest debiased equalized odds difference",
    "accuracy_difference": "Accuracy difference between groups",
    "accuracy_difference_excess": "Debiased accuracy difference",
    "accuracy_difference_p_value": "Accuracy difference, p-value",
    "accuracy_ratio": "Accuracy ratio, worst to best group",
    "worst_group_accuracy": "Worst-group accuracy",
    "worst_group_accuracy_null": "Worst-group accuracy expected by chance",
    "equalized_odds_excess": "Debiased equalized odds difference",
    "equalized_odds_p_value": "Equalized odds difference, p-value",
    "demographic_parity_excess": "Debiased demographic parity difference",
    "demographic_parity_p_value": "Demographic parity difference, p-value",
    "calibration_difference": "Calibration difference between groups",
    "calibration_excess": "Debiased calibration difference",
    "calibration_p_value": "Calibration difference, p-value",
    "group_accuracy": "Accuracy by group",
    "worst_class_accuracy": "Worst-class accuracy",
    "worst_class_accuracy_null": "Worst-class accuracy expected by chance",
    "lowest_tenth_accuracy": "Accuracy of the worst 10 % of classes",
    "lowest_tenth_accuracy_null": "Accuracy of the worst 10 % of classes expected by chance",
    "mean_capture_ratio": "Mean relative accuracy under capture conditions",
    "capture_ratio": "Relative accuracy by capture condition",
    "capture_accuracy": "Accuracy by capture condition",
    "device_reach": "Device profiles within budget",
    # privacy
    "strongest_attack_auc": "Membership inference AUC (strongest attack)",
    "attack_auc": "Membership inference AUC",
    "attack_balanced_accuracy": "Membership inference balanced accuracy",
    "tpr_at_fpr": "Members identified (TPR at FPR)",
    "tnr_at_fnr": "Non-members identified (TNR at FNR)",
    "pixel_auc": "Blind-baseline AUC (no model)",
    "private_accuracy": "Accuracy after DP-SGD fine-tuning",
    "accuracy_kept": "Accuracy relative to non-private fine-tuning",
    "epsilon_spent": "Privacy budget spent (ε)",
    # transparency
    "best_faithfulness": "Faithfulness of the best explainer",
    "faithfulness": "Faithfulness (insertion − deletion AUC, relative to random)",
    "infidelity": "Infidelity, normalised",
    "max_sensitivity": "Max-sensitivity",
    "sparseness": "Sparseness (Gini index)",
    "randomised_similarity": "Similarity after model randomisation",
    "pointing_accuracy": "Pointing-game accuracy",
    "localisation": "Localisation (relevance mass)",
    # spectral complexity
    "stable_rank_ratio": "Stable rank relative to random weights",
    "stable_rank_share": "Stable rank, share of full rank",
    "effective_rank_share": "Effective rank, share of full rank",
    "alpha": "Power-law exponent α (WeightWatcher)",
    "alpha_within": "Matrices with α in 2–6",
    "alpha_distance": "Power-law KS distance",
    "log10_norm_product": "Product of spectral norms, log₁₀",
    "log10_spectral_complexity": "Spectrally-normalised complexity, log₁₀",
    "log10_normalised_margin": "Normalised margin, log₁₀",
    "local_lipschitz": "Local Lipschitz constant",
    "lipschitz_lower_bound": "Lipschitz constant, lower bound",
    "high_frequency_share": "High-frequency energy share",
    "high_frequency_loss": "High-frequency loss through depth",
    "relative_log_amplitude": "Relative log amplitude at high frequency",
    "low_pass_accuracy": "Accuracy on low-pass filtered images",
    "high_pass_accuracy": "Accuracy on high-pass filtered images",
    "band_pass_accuracy": "Accuracy on band-pass filtered images",
    "token_similarity": "Token cosine similarity",
    "token_residual": "Rank-collapse residual",
    "token_rank": "Effective rank of the tokens",
    "attention_response": "Attention high-frequency response",
    "attention_entropy": "Attention entropy, normalised",
    "attention_distance": "Mean attention distance",
    "hessian_top_eigenvalue": "Hessian top eigenvalue",
    "hessian_trace": "Hessian trace",
    # continual learning
    "retention": "Original accuracy retained",
    "share_of_joint": "Accuracy relative to joint training",
    "joint_accuracy": "Joint-training accuracy",
    "backward_transfer": "Backward transfer (BWT)",
    "forward_transfer": "Forward transfer (FWT)",
    "plasticity": "Plasticity (learning accuracy)",
    "original_accuracy": "Accuracy on the original test set",
    # probabilistic quality
    "nll": "Negative log-likelihood (NLL)",
    "brier": "Brier score",
    "confidence": "Mean confidence",
    "ece": "Expected calibration error (ECE)",
    "ece_null": "Expected ECE if calibrated",
    "ece_excess": "Debiased ECE",
    "overconfidence": "Overconfidence (confidence − accuracy)",
    "temperature": "Fitted temperature",
    "classwise_ece": "Class-wise ECE",
    "classwise_ece_excess": "Debiased class-wise ECE",
    "groupwise_ece_excess": "Debiased ECE by group",
    "aurc": "Area under the risk–coverage curve (AURC)",
    "augrc": "Area under the generalized risk–coverage curve (AUGRC)",
    "accuracy_at_coverage": "Selective accuracy",
    "remaining_doubt": "Conformal set size (log-normalised)",
    "set_size": "Mean prediction set size",
    "coverage": "Conformal coverage",
    "empty_sets": "Empty prediction sets",
    "singleton_sets": "Singleton prediction sets",
    "sscv": "Size-stratified coverage violation",
    "sscv_null": "Size-stratified coverage violation expected by chance",
    "worst_class_coverage": "Lowest class coverage",
    "worst_group_coverage": "Lowest group coverage",
    "worst_class_coverage_null": "Lowest class coverage expected by chance",
    "worst_group_coverage_null": "Lowest group coverage expected by chance",
    "auroc": "OOD detection AUROC",
    "aupr": "OOD AUPR",
    "fpr95": "OOD FPR95",
    "error_auroc": "Misclassification-detection AUROC",
    "mutual_information": "Mutual information (BALD)",
    "nll_change": "Change in NLL by averaging",
    # approximation
    "best_compression": "Max. compression ratio within tolerance",
    "compressed_bytes": "Compressed file size",
    "compressed_accuracy": "Accuracy after compression",
    "accuracy_change": "Accuracy change by compression",
    "same_answers": "Prediction agreement with the original",
    "macs_ratio": "MACs reduction ratio",
}
"""Metrics whose names alone would say too little, or take no capital."""

SENTENCES: Final = {
    "alpha": "α = {}",
    "batch": "batch size = {}",
    "bits": "{} bits",
    "budget": "latency budget = {}",
    "clusters": "{} clusters",
    "compressor": "{}",
    "epsilon": "ε = {}",
    "fnr": "FNR {}",
    "fpr": "FPR {}",
    "from": "from {}",
    "groups": "grouping = {}",
    "kept": "{} of rank kept",
    "left_out": "{} sparsity",
    "merged": "{} of tokens merged",
    "norm": "{}",
    "over": "over {}",
    "precision": "{}",
    "reference": "relative to {}",
    "runtime": "{}",
    "scenario": "{}",
    "set": "OOD set = {}",
    "signal": "score = {}",
    "table": "severities of {}",
    "tasks": "{} tasks",
    "tier": "{}",
    "to": "to {}",
    "tolerated": "accuracy loss ≤ {}",
    "when": "{}",
}
"""How a condition reads, by key; any other is ``key = value``."""

VALUES: Final = {
    "attack": {
        "apgd-ce": "APGD-CE",
        "apgd-dlr": "APGD-DLR",
        "apgd-t": "APGD-T",
        "fab-t": "FAB-T",
        "square": "Square",
        "rays": "RayS",
        "lira": "LiRA",
        "rmia": "RMIA",
    },
    "capture": {"strong_jpeg": "strong JPEG"},
    "corruption": {"jpeg_compression": "JPEG compression"},
    "compressor": {"half": "16-bit floats", "clustering": "weight clustering", "two_of_four": "2:4 sparsity"},
    "detector": {"msp": "MSP", "energy": "energy", "knn": "k-NN", "mahalanobis": "Mahalanobis", "max-logit": "max logit"},
    "epsilon": {"none": "∞ (non-private)"},
    "explainer": {
        "attention-rollout": "attention rollout",
        "chefer": "Chefer et al.",
        "gradcam": "Grad-CAM",
        "gradient-x-input": "gradient × input",
        "integrated-gradients": "integrated gradients",
        "random": "random baseline",
    },
    "group": {"lowest of 3": "lowest tercile", "2 of 3": "middle tercile", "highest of 3": "highest tercile"},
    "method": {
        "aps": "APS",
        "ewc": "EWC",
        "frozen": "frozen backbone",
        "joint": "joint training",
        "laplace": "last-layer Laplace",
        "lora": "LoRA",
        "lwf": "LwF",
        "mc-dropout": "MC dropout",
        "naive": "fine-tuning",
        "point": "point estimate",
        "raps": "RAPS",
        "replay": "experience replay",
        "stochastic-depth": "stochastic depth",
        "thr": "THR",
    },
    "norm": {"linf": "L∞", "l2": "L2"},
    "randomised": {"all": "all layers"},
    "runtime": {
        "executorch": "ExecuTorch",
        "litert": "LiteRT",
        "mnn": "MNN",
        "onnxruntime": "ONNX Runtime",
        "onnxruntime_cuda": "ONNX Runtime on CUDA",
        "openvino": "OpenVINO",
        "torch": "PyTorch eager",
        "torch_compile": "torch.compile",
        "torch_cuda": "PyTorch eager on CUDA",
        "torch_cuda_graphs": "PyTorch with CUDA graphs",
        "tvm": "TVM",
    },
    "severity": {"0": "0 (clean)"},
    "table": {"cifar-c": "CIFAR-10-C", "imagenet-c": "ImageNet-C", "cifar-p": "CIFAR-10-P", "imagenet-p": "ImageNet-P"},
    "tier": {"one checkpoint, lower bound": "single checkpoint · lower bound"},
    "when": {"before": "before the first task", "after": "after the last task"},
}
"""What a stored value is called, by key."""

WHOLE: Final = {
    ("attack", "worst case"): "worst case over attacks",
    ("bound", "no"): "not a bound for this network",
    ("bound", "yes"): "valid bound",
    ("classes", "mean"): "mean over classes",
    ("classes", "worst"): "worst class",
    ("kind", "far"): "far-OOD",
    ("kind", "near"): "near-OOD",
    ("over", "mean of the classes"): "mean over classes",
    ("over", "mean of the groups"): "mean over groups",
    ("over", "worst class"): "worst class",
    ("over", "worst group"): "worst group",
    ("split", "training"): "training split",
    ("split", "test"): "test split",
    ("temperature", "fitted"): "temperature-scaled",
}
"""Conditions that read best as a phrase of their own."""

NAMED: Final = ("capture", "compressor", "corruption", "perturbation", "stream")
"""Conditions whose values are snake_case names."""

LOCAL: Final = "local"
"""The address of the machine that a run was made on."""

UNCONDITIONED: Final = {
    "temperature": "uncalibrated",
    "capture": "clean",
    "compressor": "uncompressed",
    "shift": "clean",
    "method": "baseline",
    "group": "all groups",
    "groups": "all groups",
}
"""What a value without a condition is, beside values of the same metric that have it."""


def title(metric: str) -> str:
    """A metric's display title: ``ece_excess`` is "Debiased ECE", ``hessian_trace`` is "Hessian trace"."""
    return TITLES.get(metric) or words(metric)


def of_record(record: Record) -> str:
    """Display title of a record's metric, or of its evaluator where it stands for all metrics of one."""
    return title(record.metric.name) if record.metric is not None else words(record.evaluator)


def words(name: str) -> str:
    """A snake_case identifier in words: ``mean_tpr`` is "Mean tpr", ``top1_agreement`` is "Top-1 agreement"."""
    text = " ".join(ABBREVIATIONS.get(part, part) for part in name.replace("-", "_").split("_") if part)
    return text[:1].upper() + text[1:] if text else name


def conditions(values: Conditions) -> str:
    """Conditions as ``corruption = fog · severity = 3``; floats to four digits."""
    return " · ".join(_condition(key, value) for key, value in values.items())


def subject(metric: str, values: Conditions) -> str:
    """A metric's title with its conditions: ``Median latency, ONNX Runtime · batch size = 1``."""
    return ", ".join(filter(None, (title(metric), conditions(values))))


def place(values: Conditions) -> str:
    """What a value was measured with: ``ONNX Runtime, fp32, on the machine of this run``; empty without a device among the conditions."""
    device = str(values.get("device", ""))
    if not device:
        return ""
    here = "on the machine of this run"
    where = here if device == LOCAL else f"on {device}, emulated {here}" if emulated(device) else f"on {device}"
    return ", ".join([*(_condition(key, values[key]) for key in ("runtime", "precision") if key in values), where])


def emulated(device: str) -> bool:
    """Whether an address is of a profile of this machine with limited cores and memory, which stands for a device and is none."""
    return device.startswith("limited:")


def distinct(values: Conditions, keys: Sequence[str]) -> str:
    """The conditions in which one value of a metric differs from its neighbours.

    Args:
        values: Those it has.
        keys: Those that differ between the values of the metric. Where it has none of them, the text says what that means: ``uncalibrated``, ``clean`` …
    """
    if "temperature" in keys and "temperature" not in values:
        rest = conditions(values)
        return f"{UNCONDITIONED['temperature']} · {rest}" if rest else UNCONDITIONED["temperature"]
    return conditions(values) or next((UNCONDITIONED[key] for key in keys if key in UNCONDITIONED), "overall" if keys else "")


def _condition(key: str, value: Scalar) -> str:
    text = _scalar(value)
    if (key, text) in WHOLE:
        return WHOLE[key, text]
    shown = " + ".join(VALUES.get(key, {}).get(part, part) for part in text.split(" + "))
    if key in NAMED:
        shown = shown.replace("_", " ")
    if key == "device" and emulated(text):
        shown = f"{shown} (emulated)"
    return SENTENCES.get(key, f"{key.replace('_', ' ')} = {{}}").replace("{}", shown)


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return trimmed(value)
    return str(value)
