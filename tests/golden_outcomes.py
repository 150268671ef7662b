"""The golden outcomes: what each evaluator gives for a small checkpoint on a few images, with the digest of the code that gave it.

``tests/golden/EVALUATOR.json`` holds them, ``scripts/record_golden_outcomes.py`` writes them, ``tests/test_golden_outcomes.py`` compares.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient360.core.code_digest import code_of, module
from efficient360.core.measurement import Measurement
from efficient360.datasets.spec import DatasetSpec
from efficient360.execution import runner
from efficient360.execution.cache_key import MODEL_AND_DATA
from efficient360.execution.events import Event, Finished
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import CheckpointSpec

FOLDER = Path(__file__).parent / "golden"
CHECKPOINT, DATASET, EXAMPLES = "digits-vit", "digits", 80
RELATIVE, ABSOLUTE = 1e-3, 1e-5
"""Within these, rounding of another processor or number of threads is no other number."""
TIMED = {"latency", "acceleration", "device_reach"}
"""Their numbers are this machine's at this moment."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "accuracy": {"mistakes": 0, "resamples": 50},
    "adversarial": {
        "linf": [8],
        "scout_linf": [2],
        "attacks": ["apgd-ce", "apgd-t", "fab-t", "square"],
        "steps": 4,
        "targets": 2,
        "queries": 20,
        "examples": 16,
        "shown": 0,
    },
    "black_box": {"epsilons": [8], "queries": 30, "examples": 16, "shown": 0},
    "calibration": {"resamples": 50, "draws": 20, "minimum": 5},
    "capture_conditions": {"images": 20, "resamples": 99, "pictures": 0},
    "compression": {"examples": 40, "variants": ["half", "quantization:4", "clustering:8", "pruning:50", "low_rank:50", "token_merging:40"], "resamples": 50},
    "conformal": {"splits": 3, "resamples": 20, "minimum": 5},
    "continual": {
        "streams": ["corruptions"],
        "methods": ["naive", "frozen", "joint"],
        "corruptions": ["fog", "contrast"],
        "images": 20,
        "tested": 20,
        "steps": 3,
        "batch": 8,
    },
    "corruption": {"corruptions": ["gaussian_noise", "fog", "jpeg_compression"], "severities": [3], "examples": 40},
    "faithfulness": {
        "explainers": ["gradient-x-input", "integrated-gradients", "attention-rollout"],
        "examples": 6,
        "points": 3,
        "steps": 8,
        "squares": 3,
        "checked": 2,
        "draws": 2,
        "shown": 0,
    },
    "feature_spectrum": {"examples": 16, "bands": [0.25, 0.5], "attention_examples": 8, "hessian_examples": 8, "steps": 4, "probes": 2},
    "group_fairness": {"permutations": 99, "resamples": 99, "minimum": 10},
    "inclusion": {"minimum_class": 3, "permutations": 99},
    "macs": {},
    "membership_inference": {"examples": 60, "gradient_examples": 10},
    "memory": {"batches": [1]},
    "natural_shift": {},
    "out_of_distribution": {"images": 30, "training_examples": 100, "neighbours": 3, "resamples": 20},
    "parameters": {},
    "private_training": {"epsilons": [8.0], "layers": ["head"], "examples": 100, "tested": 40, "steps": 3, "batch": 32},
    "stability": {"perturbations": ["gaussian_noise", "rotate"], "frames": 3, "examples": 12},
    "uncertainty": {"examples": 40, "training_examples": 100, "weight_draws": 10, "passes": 3, "resamples": 20},
    "weight_spectrum": {"images": 3, "steps": 3, "training_examples": 100},
}
MACHINES: Mapping[str, Sequence[str]] = {"memory": ("process_peak", "cuda_peak")}
"""Metrics that depend on the machine."""


def code(evaluator: str) -> str:
    """Digest of the code that gives an evaluator's numbers, that of the model and the data included."""
    return code_of([module(name) for name in (*MODEL_AND_DATA, f"efficient360.evaluators.{evaluator}")]).digest


def measured(evaluator: str, folder: Path) -> list[dict[str, Any]]:
    """An evaluator's outcomes as plain JSON: metric, conditions, and value with ``n``, or status and code of what is missing.

    Args:
        evaluator: Its name.
        folder: A new one.
    """
    events: list[Event] = []
    steps = (Step(evaluator, SETTINGS[evaluator]),)
    plan = Plan(CheckpointSpec(CHECKPOINT), DatasetSpec(DATASET, max_examples=EXAMPLES), "golden", steps, folder, batch_size=40)
    runner.run(plan, events.append)
    (finished,) = (event for event in events if isinstance(event, Finished))
    outcomes = []
    for outcome in (record.outcome for record in finished.records):
        metric = None if outcome.metric is None else outcome.metric.name
        if metric in MACHINES.get(evaluator, ()):
            continue
        entry: dict[str, Any] = {"metric": metric, "conditions": json.loads(json.dumps(dict(outcome.conditions)))}
        if isinstance(outcome, Measurement):
            entry |= {"value": float(f"{outcome.value:.5g}"), "n": outcome.n}
        else:
            entry |= {"status": outcome.status.value, "code": outcome.code}
        outcomes.append(entry)
    return outcomes


def recorded(evaluator: str) -> dict[str, Any]:
    """What ``tests/golden`` holds of an evaluator: ``code`` and ``outcomes``; both empty where nothing was recorded."""
    file = FOLDER / f"{evaluator}.json"
    whole: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"code": "", "outcomes": []}
    return whole


def moved(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every number that is another, one line each; empty where all agree within tolerance."""
    old, new = ({json.dumps([entry["metric"], entry["conditions"]], sort_keys=True): entry for entry in entries} for entries in (before, now))
    lines = [f"{key}: gone" for key in old if key not in new] + [f"{key}: new" for key in new if key not in old]
    return lines + [f"{key}: {_told(new[key])}, recorded {_told(old[key])}" for key in old if key in new and not _agree(old[key], new[key])]


def _agree(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if "value" in a and "value" in b:
        return a["n"] == b["n"] and math.isclose(a["value"], b["value"], rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return dict(a) == dict(b)


def _told(entry: Mapping[str, Any]) -> str:
    return f"{entry['value']} (n {entry['n']})" if "value" in entry else f"{entry['status']} ({entry['code']})"
