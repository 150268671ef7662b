"""What names and shapes alone tell of an architecture: fingerprints of a state dict, and a table of those of known architectures.

Three fingerprints, from strict to loose, none of which sees the classifier, whose rows are the classes:

- ``exact``: every name with its shape;
- ``sized``: every name, and the shapes of vectors, which neither the size of the images nor that of the patches changes;
- ``named``: the set of names with every number in them left open, which neither widths nor depths change.

The table is made by ``scripts/fingerprint_architectures.py`` and only proposes: who uses it builds the architecture and compares.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, final

Shapes = Mapping[str, tuple[int, ...]]
TABLE: Final = Path(__file__).with_name("fingerprints.json")
_LENGTH: Final = 10
_NUMBER: Final = re.compile(r"(?<![^.])\d+(?![^.])")
_DERIVED: Final = (".relative_position_index", ".attn_mask", ".attention_bias_idxs", ".num_batches_tracked", ".relative_coords_table")
"""Buffers that are computed from an architecture's arguments: some versions of a library store them, others do not."""


@final
@dataclass(frozen=True)
class Fingerprint:
    """The fingerprints of a state dict, see above."""

    exact: str
    sized: str
    named: str


@final
@dataclass(frozen=True)
class Known:
    """A known architecture.

    Args:
        name: As ``--arch`` takes it.
        classifier: Dotted names of its classifiers.
        fingerprint: Of its state dict.
    """

    name: str
    classifier: tuple[str, ...]
    fingerprint: Fingerprint


def fingerprint(shapes: Shapes, classifier: Collection[str]) -> Fingerprint:
    """The fingerprints of a state dict.

    Args:
        shapes: Shape by name.
        classifier: Dotted names of the layers that are left out.
    """
    rest = {name: shape for name, shape in shapes.items() if name.rpartition(".")[0] not in classifier and not name.endswith(_DERIVED)}
    return Fingerprint(
        exact=_hash(f"{name}{list(shape)}" for name, shape in rest.items()),
        sized=_hash(f"{name}{list(shape) if len(shape) == 1 else len(shape)}" for name, shape in rest.items()),
        named=_hash({_NUMBER.sub("N", name) for name in rest}),
    )


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:_LENGTH]


@cache
def known_architectures() -> tuple[Known, ...]:
    """The table, in the order of the names."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    rows = []
    for name, row in table["architectures"].items():
        exact, sized, named, classifier = row.split(" ")
        rows.append(Known(name, tuple(classifier.split(",")), Fingerprint(exact, sized, named)))
    return tuple(rows)


def rows_of(known: Iterable[Known]) -> dict[str, str]:
    """The table's rows of architectures."""
    return {k.name: f"{k.fingerprint.exact} {k.fingerprint.sized} {k.fingerprint.named} {','.join(k.classifier)}" for k in sorted(known, key=lambda k: k.name)}
