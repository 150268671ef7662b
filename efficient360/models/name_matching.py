"""Where a network's tensors are among those of a file: under which prefix, and what stands beside them. Any network: only names and shapes are compared."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, final

Shapes = Mapping[str, tuple[int, ...]]

_SHARE: Final = 0.5
"""Share of a network's names that must stand under a prefix for the prefix to count."""
_PROFILED: Final = ("total_ops", "total_params")
"""Counters that the profiler ``thop`` leaves in every layer."""
_PRETRAINING: Final = re.compile(r"(.*\.)?(decoder_blocks|decoder_embed|(\w+_)?head\.(last_layer|mlp)|projection_head|projector|predictor)\..*")
_SIDE: Final = re.compile(
    r"n_averaged|(.*_)?(criterion|loss\w*|metrics?\w*|acc|acc\d|accuracy\w*|auroc|auc|f1\w*|confmat|confusion\w*|teacher\w*|student\w*|ema\w*|optim\w*"
    r"|queue\w*|centers?|class_weights?|mixup\w*|cutmix\w*|augment\w*|momentum\w*|best_\w+|epoch|step|iteration)",
    re.IGNORECASE,
)
"""Beginnings of names that hold losses, metrics, other networks and counters: nothing that an answer is computed with."""


@final
@dataclass(frozen=True)
class Placed:
    """A place in a state dict where a network's tensors may be.

    Args:
        prefix: What their names begin with, ``""`` or ending in a dot.
        names: How many of the network's names are there.
        shapes: How many of them with the network's shapes.
    """

    prefix: str
    names: int
    shapes: int


def places(shapes: Shapes, wanted: Shapes) -> tuple[Placed, ...]:
    """The places where at least half of a network's names are, the likeliest first.

    Args:
        shapes: The file's tensors.
        wanted: The network's.
    """
    names: dict[str, int] = defaultdict(int)
    equal: dict[str, int] = defaultdict(int)
    for name, shape in shapes.items():
        for prefix in _beginnings(name):
            rest = name[len(prefix) :]
            if rest in wanted:
                names[prefix] += 1
                equal[prefix] += shape == wanted[rest]
    likely = [Placed(prefix, count, equal[prefix]) for prefix, count in names.items() if count >= _SHARE * len(wanted)]
    return tuple(sorted(likely, key=lambda place: (-place.shapes, -place.names, len(place.prefix))))


def _beginnings(name: str) -> list[str]:
    return ["", *(name[: i + 1] for i, letter in enumerate(name) if letter == ".")]


def common_prefix(names: Collection[str]) -> str:
    """The longest beginning up to a dot that all names share, those of counters left out; ``""`` for a single name."""
    counted = [name for name in names if not is_counter(name) and name != "n_averaged"]
    if len(counted) < 2:
        return ""
    first, last = min(counted), max(counted)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind(".", 0, shared) + 1]


def is_counter(name: str) -> bool:
    """Whether a name is that of a profiler's counter."""
    return name.rpartition(".")[2] in _PROFILED


def is_beside(name: str) -> bool:
    """Whether a name, by its beginning, is of a loss, a metric, another network or a counter."""
    return is_counter(name) or _SIDE.fullmatch(name.partition(".")[0]) is not None


def heads_of(wanted: Shapes, shapes: Shapes, prefix: str, classifier: Collection[str]) -> dict[str, str]:
    """Where the classifier's tensors are that a network has as ``head`` and a file as the one layer of a ``Sequential`` (``head.1``).

    Args:
        wanted: The network's tensors.
        shapes: The file's.
        prefix: Where the network's are in the file.
        classifier: Dotted names of the network's classifiers.

    Returns:
        The network's name by the file's; empty where the file has the network's names, or more than one layer in place of one.
    """
    renamed: dict[str, str] = {}
    for head in classifier:
        if f"{head}.weight" not in wanted or f"{prefix}{head}.weight" in shapes:
            continue
        inside = [name for name in shapes if name.startswith(f"{prefix}{head}.") and not is_counter(name)]
        layers = {name.rpartition(".")[0] for name in inside}
        if len(layers) == 1 and (layer := layers.pop()).removeprefix(f"{prefix}{head}.").isdecimal():
            renamed |= {f"{layer}.{kind}": f"{head}.{kind}" for kind in ("weight", "bias") if f"{layer}.{kind}" in shapes and f"{head}.{kind}" in wanted}
    return renamed


def linear_layers(shapes: Shapes, outside: str, inputs: int) -> tuple[str, ...]:
    """Linear layers of so many inputs that may be classifiers, whose names do not begin with ``outside``; those of self-supervised training left out."""
    found = []
    for name, shape in shapes.items():
        layer, _, kind = name.rpartition(".")
        if (
            kind == "weight"
            and layer
            and not name.startswith(outside)
            and len(shape) == 2
            and shape[1] == inputs
            and not (is_beside(name) or is_pretraining([name]))
        ):
            found.append(layer)
    return tuple(found)


def is_pretraining(names: Collection[str]) -> bool:
    """Whether names are of a network for self-supervised training, which has no classifier."""
    return any(_PRETRAINING.fullmatch(name) for name in names)
