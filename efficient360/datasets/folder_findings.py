"""What was found in an image folder, and what was left out: counts for the report, and findings. Imports no torch."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.datasets.folder_listing import HIDDEN, OUTSIDE, Listing

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


def _some(names: Sequence[str], total: int) -> str:
    shown = ", ".join(names[:NAMED])
    return shown + (f" and {count(total - len(names[:NAMED]))} more" if total > len(names[:NAMED]) else "")
