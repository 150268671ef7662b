"""What a reader should know of the evaluated images before trusting a number on them: files left out, nameless labels, contradictions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.datasets.card import Card
from efficient360.datasets.class_names import are_placeholders
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.folder_listing import HIDDEN, OUTSIDE, Listing
from efficient360.datasets.split_names import kind_of
from efficient360.models.checkpoint import Checkpoint

NAMED: Final = 5
LISTED_CLASSES: Final = 200
"""Image counts are listed for each of at most so many classes."""


def files_found(listing: Listing, beside: int) -> dict[str, Any]:
    """How many images of which classes an image folder holds, and what was left out, plain JSON."""
    per_class = np.bincount(listing.labels, minlength=len(listing.classes)).tolist()
    classes = dict(zip(listing.classes, per_class, strict=True)) if len(per_class) <= LISTED_CLASSES else {}
    empty = sum(n == 0 for n in per_class)
    skipped = {reason: {"files": n, "for example": list(listing.examples.get(reason, ()))} for reason, n in listing.skipped.items()}
    return {
        "images": len(listing.files),
        "classes": len(listing.classes),
        "images per class": classes or {"fewest": min(per_class), "most": max(per_class)},
        "classes without images": empty,
        "left out": skipped,
        "beside the splits": beside,
    }


def left_out(listing: Listing) -> list[Finding]:
    """A finding where files that nobody hid were left out, or a class has no image."""
    findings = []
    shown = {reason: n for reason, n in listing.skipped.items() if reason != HIDDEN}
    if shown:
        parts = [f"{count(n)} {reason} ({_some(listing.examples.get(reason, ()), n)})" for reason, n in shown.items()]
        where = "move images into their class folders" if OUTSIDE in shown else "convert pictures of other formats to PNG or JPEG"
        findings.append(Finding("files-left-out", f"{count(sum(shown.values()))} files of the image folder are left out: {'; '.join(parts)}", where))
    present = set(listing.labels)
    empty = [name for i, name in enumerate(listing.classes) if i not in present]
    if empty:
        told = f"{count(len(empty))} of {count(len(listing.classes))} class folders hold no image in the evaluated split: {_some(empty, len(empty))}"
        findings.append(Finding("classes-without-images", told, "add images, or remove the folders"))
    return findings


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


def _some(names: Sequence[str], total: int) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {count(total - len(names[:NAMED]))} more" if total > len(names[:NAMED]) else "")
