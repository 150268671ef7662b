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
    """The finding of a file with two sets of weights."""
    other = checkpoint.card.get("other_weights")
    if not other:
        return ()
    told = f"the file holds other weights, {other}, beside those that are evaluated, {checkpoint.card.get('taken_from') or 'the plain ones'}"
    return (Finding("two-sets-of-weights", told, "leave out --ema to evaluate them" if checkpoint.spec.ema else "--ema evaluates the moving average's"),)


def _value(shape: Preprocessing, name: str) -> str:
    if name == "input_size":
        return f"{shape.input_size[1]} x {shape.input_size[2]}"
    value = getattr(shape, name)
    return " ".join(significant(v) for v in value) if isinstance(value, tuple) else str(value)
