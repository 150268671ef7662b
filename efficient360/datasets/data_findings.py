"""What a reader should know of the evaluated images before trusting a number on them: nameless labels, contradictions, training images."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.datasets.card import Card
from efficient360.datasets.class_names import are_placeholders
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.split_names import kind_of
from efficient360.models.checkpoint import Checkpoint

NAMED: Final = 5


def nameless(card: Card, names: Sequence[str], checkpoint: Checkpoint) -> Finding:
    """The finding of labels that are bare numbers."""
    if are_placeholders(checkpoint.class_names) or list(names) == [str(i) for i in range(len(names))]:
        told = f"the labels of {card.name} are numbers without names; they are taken for the checkpoint's outputs of these indices"
    else:
        pairs = ", ".join(f"{i} = {name}" for i, name in enumerate(names[:NAMED]))
        told = f"the labels of {card.name} are numbers without names; they are taken for the checkpoint's classes in its order: {pairs}"
        told += " …" if len(names) > NAMED else ""
    return Finding("labels-without-names", told, "names in the data, or --class-map, make sure of it")


def data_findings(card: Card, split: str, examples: ExampleSet) -> tuple[Finding, ...]:
    """What is wrong with the evaluated examples themselves: the same image under two labels, a split that looks like training data."""
    findings = []
    if (twice := _contradictions(examples)) is not None:
        findings.append(twice)
    if kind_of(split) == "train":
        told = f"the evaluated split of {card.name} is its training split: a checkpoint trained on these images does better on them than on new ones"
        findings.append(Finding("training-split-evaluated", told, "evaluate another split (--split) for how right it is on new images"))
    return tuple(findings)


def _contradictions(examples: ExampleSet) -> Finding | None:
    labels: dict[bytes, list[int]] = {}
    for i, key in enumerate(examples.hashes):
        labels.setdefault(key, []).append(i)
    twice = [places for places in labels.values() if len({int(examples.labels[i]) for i in places}) > 1]
    if not twice:
        return None
    places = twice[0]
    first = " and ".join(f"{examples.ids[i]} ({examples.class_names[examples.labels[i]]})" for i in places[:2])
    told = f"{count(len(twice))} images stand under two or more labels, of which one can be right at most; the first is {first}"
    return Finding("contradicting-labels", told, "remove the wrong copies")


def overlap(training: ExampleSet, evaluated: Mapping[bytes, str] | set[bytes]) -> tuple[int, int]:
    """How many of up to 1,000 evenly spaced training images are among the evaluated ones, and how many were looked at."""
    import hashlib

    places = np.unique(np.linspace(0, len(training) - 1, min(len(training), 1000)).astype(int)).tolist() if len(training) else []
    hashes = [hashlib.sha1(training.encoded(i, i + 1)[0], usedforsecurity=False).digest() for i in places]
    return sum(h in evaluated for h in hashes), len(places)
