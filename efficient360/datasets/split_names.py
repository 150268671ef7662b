"""What splits are called: test, validation and training in any usual spelling."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from efficient360.core.close_names import did_you_mean
from efficient360.errors import DatasetError

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation"),
    "train": ("train", "training"),
}
"""Names of each split in any case, in the order in which one is taken for evaluation when none is asked for."""
LOOSE: Final[Mapping[str, str]] = {
    "testset": "test",
    "tests": "test",
    "eval": "test",
    "evaluation": "test",
    "valset": "val",
    "validationset": "val",
    "dev": "val",
    "devset": "val",
    "trainset": "train",
    "trainingset": "train",
    "trainval": "train",
}
"""Further names, which are splits only where nothing beside them says otherwise."""
WHOLE: Final = "all"
"""What the only split of data without splits is called."""
_FILLERS: Final = frozenset({"ilsvrc", "ilsvrc2012", "imagenet", "2012", "img", "imgs", "image", "images", "set", "data", "split"})


def kind_of(name: str) -> str:
    """``test``, ``val`` or ``train`` for a split's exact name in any case; the name itself, in lower case, for another."""
    return next((kind for kind, names in NAMES.items() if name.casefold() in names), name.casefold())


def loose_kind(name: str) -> str:
    """The same for looser spellings, too: ``test_set``, ``eval``, ``ILSVRC2012_img_val``."""
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word and word not in _FILLERS]
    plain = "".join(words) or name.casefold()
    return LOOSE.get(plain, kind_of(plain))


def is_split(name: str) -> bool:
    """Whether a name is one of a split, however loosely."""
    return loose_kind(name) in NAMES and re.fullmatch(r"\w[\w .-]{0,99}", name) is not None


def in_kind_order(names: Iterable[str]) -> list[str]:
    """Names of splits in the order in which one is taken for evaluation: test, validation, training, then others as they stand."""
    order = list(NAMES)
    return sorted(names, key=lambda name: order.index(kind) if (kind := loose_kind(name)) in order else len(order))


def named_splits(own: Sequence[str]) -> dict[str, str]:
    """Our names of splits to their own, the one evaluated by default first; two of one kind keep their own names."""
    kinds = [loose_kind(name) for name in own]
    return {(kind if kinds.count(kind) == 1 else name): name for name in in_kind_order(own) for kind in [loose_kind(name)]}


def choose_split(where: str, splits: Sequence[str], asked: str, remark: str = "") -> str:
    """The own name of the split to evaluate; ``""`` for data without splits.

    Args:
        where: What holds them, for messages.
        splits: Their own names, the one taken when none is asked for first.
        asked: The split the user asked for, in any usual spelling.
        remark: Why there are none, for messages.

    Raises:
        DatasetError: There is no such split.
    """
    if not asked or (not splits and asked == WHOLE):
        return splits[0] if splits else ""
    chosen = next((name for name in splits if name == asked), None) or next((name for name in splits if loose_kind(name) == loose_kind(asked)), None)
    if chosen is not None:
        return chosen
    if not splits:
        message = f"{where} has no split called {asked!r}" + (f": {remark}" if remark else "")
        raise DatasetError("unknown-split", message, "leave out --split, or give what holds a part for each split")
    raise DatasetError("unknown-split", f"{where} has no split called {asked!r}", did_you_mean(asked, splits, listed=f"its splits are: {', '.join(splits)}"))
