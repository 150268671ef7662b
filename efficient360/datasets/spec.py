"""What the user asked for of a data set, before anything is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, final


@final
@dataclass(frozen=True)
class DatasetSpec:
    """What the user asked for.

    Args:
        reference: Name of a card, path to one, ``KIND:PATH`` of a layout, or a plain path.
        data_dir: Local copy to read in place of the card's source; of a list of images, the folder that its paths are relative to.
        split: Split to evaluate; ``""`` takes the card's.
        image_column: Over the card's; ``""`` keeps it.
        label_column: Over the card's; ``""`` keeps it.
        group_columns: Over the card's; empty keeps them.
        max_examples: Size of the stratified subset; ``None`` takes all.
        class_map: The checkpoint's output, by name or index, of each class of the data; empty matches by name.
        class_order: ``data`` or ``checkpoint`` matches classes by position, knowingly, and shows that side's names.
    """

    reference: str
    data_dir: Path | None = None
    split: str = ""
    image_column: str = ""
    label_column: str = ""
    group_columns: tuple[str, ...] = ()
    max_examples: int | None = None
    class_map: Mapping[str, str | int] = field(default_factory=dict)
    class_order: Literal["", "data", "checkpoint"] = ""
