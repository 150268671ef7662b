"""What a runtime's file says of itself, read from its source: a listing that imports no library, and torch least of all."""

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

FOLDER = Path(__file__).parent / "converters"


@final
@dataclass(frozen=True)
class Card:
    """A runtime's own words.

    Args:
        name: Its name.
        title: As its makers write it.
        converts_with: Modules that converting needs.
        how_to_get: What to type to install it.
    """

    name: str
    title: str
    converts_with: tuple[str, ...]
    how_to_get: str

    @property
    def missing(self) -> list[str]:
        """Modules that converting needs and that are not installed."""
        return [module for module in self.converts_with if importlib.util.find_spec(module) is None]


def card(name: str) -> Card:
    """The card of a built-in runtime."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    names = dict(_imported(tree))
    told: dict[str, Any] = {}
    for node in (item for cls in tree.body if isinstance(cls, ast.ClassDef) for item in cls.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in ("title", "extra", "converts_with", "hint"):
            assert node.value is not None
            told[node.target.id] = _value(node.value, names)
    get = told.get("hint", "") or (f"pip install 'efficient360[{told['extra']}]'" if told["extra"] else "reinstall efficient360")
    return Card(name, told["title"], told["converts_with"], get)


def _imported(tree: ast.Module) -> Iterator[tuple[str, Path]]:
    """Names that come from another module of this package, with its file."""
    root = Path(__file__).parents[1]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{root.name}."):
            file = root.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            yield from ((alias.name, file) for alias in node.names)


def _value(node: ast.expr, names: dict[str, Path]) -> Any:
    """A literal; a tuple may spread a constant of another module into itself."""
    if not isinstance(node, ast.Tuple):
        return ast.literal_eval(node)
    found: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Starred) and isinstance(item.value, ast.Name):
            found += _constant(names[item.value.id], item.value.id)
        else:
            found.append(ast.literal_eval(item))
    return tuple(found)


def _constant(file: Path, name: str) -> tuple[Any, ...]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            constant: tuple[Any, ...] = ast.literal_eval(value)
            return constant
    raise LookupError(f"{file} has no constant {name}")
