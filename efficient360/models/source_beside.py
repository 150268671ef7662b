"""Networks that Python files beside a checkpoint define, found by reading their source: nothing of it is run."""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import CheckpointError

_READER: Final = Reader(CheckpointError, "source-unreadable", "mend the file", limit=MEBIBYTE)
_MOST_FILES: Final = 30
_MODULE: Final = ("Module", "LightningModule")
"""Last part of the names of base classes that make a class a network."""


@final
@dataclass(frozen=True)
class Offer:
    """A class or function that may build a checkpoint's network.

    Args:
        file: The file that defines it.
        name: Its name.
        parts: Attributes that its network sets in ``__init__``, those of its bases in the file among them.
        fits: Share of the checkpoint's parts that it has, in [0, 1].
    """

    file: Path
    name: str
    parts: frozenset[str]
    fits: float

    @property
    def architecture(self) -> str:
        """As ``--arch`` takes it."""
        return f"{self.file}:{self.name}"


def networks_beside(folder: Path, tensors: Collection[str]) -> list[Offer]:
    """The classes and functions in a folder's Python files that may build the network of some tensors, those first whose parts have the tensors' names.

    A class counts where it inherits from ``nn.Module``, also by way of another class of its file; a function where it returns such a class's network, or
    says so in its annotation. What ``__init__`` assigns to ``self`` are the parts.

    Args:
        folder: Where the checkpoint lies.
        tensors: Names of the checkpoint's tensors.
    """
    wanted = _parts_of(tensors)
    found = []
    for file in sorted(folder.glob("*.py"))[:_MOST_FILES]:
        try:
            tree = ast.parse(_READER.read_text(file))
        except (CheckpointError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found += [Offer(file, name, parts, _share(parts, wanted)) for name, parts in _networks(tree)]
    return sorted(found, key=lambda offer: -offer.fits)


def _parts_of(tensors: Collection[str]) -> list[frozenset[str]]:
    """The first components of tensors' names; also behind a prefix that all share, as wrappers put one."""
    levels = []
    names = [name.split(".") for name in tensors]
    while names:
        first = frozenset(parts[0] for parts in names)
        levels.append(first)
        if len(first) > 1 or min(map(len, names)) < 2:
            break
        names = [parts[1:] for parts in names]
    return levels


def _share(parts: Collection[str], wanted: list[frozenset[str]]) -> float:
    return max((len(level & set(parts)) / len(level) for level in wanted if len(level) > 1 or len(wanted) == 1), default=0.0)


def _networks(tree: ast.Module) -> Iterator[tuple[str, frozenset[str]]]:
    """Builder functions and network classes of a file, with their parts; functions first."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    networks = {name: _parts(node, classes) for name, node in classes.items() if _is_network(node, classes)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            returned = next((name for name in _returned(node) if name in networks), None)
            if returned is not None or (node.returns is not None and ast.unparse(node.returns).rpartition(".")[2] in _MODULE):
                yield node.name, networks.get(returned or "", frozenset())
    yield from ((name, parts) for name, parts in networks.items() if not name.startswith("_"))


def _is_network(node: ast.ClassDef, classes: dict[str, ast.ClassDef], depth: int = 0) -> bool:
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    return any(base in _MODULE or (base in classes and depth < len(classes) and _is_network(classes[base], classes, depth + 1)) for base in bases)


def _parts(node: ast.ClassDef, classes: dict[str, ast.ClassDef], depth: int = 0) -> frozenset[str]:
    own = {
        item.attr
        for item in ast.walk(node)
        if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store) and isinstance(item.value, ast.Name) and item.value.id == "self"
    }
    bases = [ast.unparse(base) for base in node.bases]
    inherited = [_parts(classes[base], classes, depth + 1) for base in bases if base in classes and depth < len(classes)]
    return frozenset(own).union(*inherited)


def _returned(node: ast.FunctionDef) -> Iterator[str]:
    """Names of what a function calls in what it returns, also by way of a variable."""
    called = {
        target.id: ast.unparse(item.value.func)
        for item in ast.walk(node)
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call)
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    for item in ast.walk(node):
        if isinstance(item, ast.Return) and item.value is not None:
            if isinstance(item.value, ast.Call):
                yield ast.unparse(item.value.func)
            elif isinstance(item.value, ast.Name):
                yield called.get(item.value.id, "")
