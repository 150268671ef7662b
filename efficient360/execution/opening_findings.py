"""What is known against trusting a run before anything is measured: of the classes, the preprocessing, the data."""

from collections.abc import Sequence
from typing import Final

from efficient360.core.findings import Finding
from efficient360.core.formatting import significant
from efficient360.datasets.data_findings import data_findings
from efficient360.evaluator import Evaluator, ExampleEvaluator, Need
from efficient360.execution.session import Session
from efficient360.models.checkpoint import Checkpoint, Preprocessing

WORDS: Final = {"input_size": "image size", "mean": "mean", "std": "standard deviation", "interpolation": "interpolation", "crop_pct": "crop"}
"""What the values of a preprocessing are called."""


def opening_findings(session: Session, planned: Sequence[Evaluator | ExampleEvaluator]) -> tuple[Finding, ...]:
    """Findings of the classes, the preprocessing and the data, in this order."""
    if session.dataset is None:
        return ()
    trains = any(Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses for evaluator in planned)
    return (
        *(() if session.match is None else session.match.findings),
        *assumed_preprocessing(session.checkpoint),
        *other_weights(session.checkpoint),
        *session.dataset.findings,
        *data_findings(session.dataset.card, session.dataset.split, session.dataset.examples),
        *(session.training_split().findings if trains else ()),
    )


def assumed_preprocessing(checkpoint: Checkpoint) -> tuple[Finding, ...]:
    """The finding of a trained checkpoint that leaves part of its preprocessing unsaid."""
    if not checkpoint.assumed or not checkpoint.trained:
        return ()
    shape = checkpoint.preprocessing
    taken = ", ".join(f"{WORDS[name]} {_value(shape, name)}" for name in checkpoint.assumed)
    told = f"nothing beside the checkpoint's weights says how its images were prepared; {checkpoint.architecture}'s defaults are taken: {taken}"
    if len(checkpoint.assumed) < len(WORDS):
        missing = ", ".join(WORDS[name] for name in checkpoint.assumed)
        told = f"the checkpoint does not say its {missing}; {checkpoint.architecture}'s defaults are taken: {taken}"
    return (
        Finding(
            "preprocessing-assumed",
            told,
            "write what it was trained with into its sidecar (input_size, mean, std, interpolation, crop_pct), or give it: --preprocess mean=[…]",
        ),
    )


def other_weights(checkpoint: Checkpoint) -> tuple[Finding, ...]:
    """The findings of a file that holds more than one network's weights: others that fit too, and layers beside those that are evaluated."""
    findings = []
    taken = checkpoint.card.get("taken_from") or "the plain ones"
    if checkpoint.alternatives:
        others = checkpoint.card["other_weights"]
        told = f"the file holds other weights, {others}, beside those that are evaluated, {taken} ({checkpoint.card.get('taken_because', '')})"
        findings.append(Finding("two-sets-of-weights", told, f"--weights-key {checkpoint.alternatives[0] or 'KEY'} evaluates the others"))
    if chosen := checkpoint.card.get("file"):
        findings.append(Finding("one-of-several-files", f"the weights are those of {chosen}", "give the path of another file to evaluate that one"))
    if left := checkpoint.card.get("left_out"):
        told = f"the file holds tensors beside the network's: {left}; they are left out"
        findings.append(Finding("tensors-left-out", told, "if the network answers through them, give its code: --arch path/to/file.py:build"))
    return tuple(findings)


def _value(shape: Preprocessing, name: str) -> str:
    if name == "input_size":
        return f"{shape.input_size[1]} x {shape.input_size[2]}"
    value = getattr(shape, name)
    return " ".join(significant(v) for v in value) if isinstance(value, tuple) else str(value)
