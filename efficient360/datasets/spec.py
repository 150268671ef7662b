"""What the user asked for of a data set, before anything is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class DatasetSpec:
    """What the user asked for.

    Args:
        reference: Name of a card, path to one, ``imagefolder:DIR`` or ``parquet:FILES``.
        data_dir: Local copy to read in place of the card's source.
        split: Split to evaluate; ``""`` takes the card's.
        image_column: Over the card's; ``""`` keeps it.
        label_column: Over the card's; ``""`` keeps it.
        group_columns: Over the card's; empty keeps them.
        max_examples: Size of the stratified subset; ``None`` takes all.
    """

    reference: str
    data_dir: Path | None = None
    split: str = ""
    image_column: str = ""
    label_column: str = ""
    group_columns: tuple[str, ...] = ()
    max_examples: int | None = None
