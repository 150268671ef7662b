"""The rows of a split as a layout hands them over, images left encoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.findings import Finding
from efficient360.datasets.folder_listing import Listing


@final
@dataclass(frozen=True)
class OpenedTable:
    """The rows of one split.

    Args:
        rows: A ``datasets.Dataset``, memory-mapped, or what is indexed like one; nothing decoded.
        roots: Folders that hold the image files which the rows name by path; empty where rows hold the images themselves.
        listing: What was found where the rows are the files of an image folder.
        beside: How many files of that folder lie in none of its splits.
        image: Column of the images, where the layout knows it; ``""`` leaves it to the card.
        label: Column of the labels, likewise.
        findings: What a reader should know of how the rows were found.
    """

    rows: Any
    roots: tuple[Path, ...] = ()
    listing: Listing | None = None
    beside: int = 0
    image: str = ""
    label: str = ""
    findings: tuple[Finding, ...] = ()
