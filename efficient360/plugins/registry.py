"""Names to classes, lazily. A listing reads source text and imports no evaluator, so it needs no torch.

An evaluator is found in three places: a file of ``efficient360/evaluators``, an entry point of an installed package
(``efficient360.evaluators``), or a lone file given with ``--plugin``. Dimensions likewise.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

from efficient360.core.close_names import did_you_mean
from efficient360.core.text import reason
from efficient360.dimensions.dimension import Dimension
from efficient360.errors import PluginError, SettingsError
from efficient360.plugins.dimension_file import dimensions_in
from efficient360.plugins.plugin_file import imported

EVALUATORS = "efficient360.evaluators"
DIMENSIONS = "efficient360.dimensions"
BUILT_IN = "built in"
"""Origin of the package's own evaluators."""
_HERE = Path(__file__).parents[1]


@final
@dataclass(frozen=True)
class Entry:
    """One evaluator that can be had.

    Args:
        name: Its name.
        summary: First line of its docstring, ``""`` where only importing would tell.
        origin: Where it comes from: ``built in``, a package or a file.
        load: Imports and returns the class.
    """

    name: str
    summary: str
    origin: str
    load: Callable[[], type[Any]]


def evaluators(plugins: Sequence[Path] = ()) -> dict[str, Entry]:
    """All evaluators by name, built-in ones first.

    Raises:
        PluginError: Two of the same name, or a plug-in file that can't be read.
    """
    entries: dict[str, Entry] = {}
    for entry in (*_built_in(), *_installed(), *(entry for path in plugins for entry in _in_file(path))):
        if entry.name in entries:
            raise PluginError(
                "duplicate-evaluator", f"two evaluators are called {entry.name!r}: {entries[entry.name].origin} and {entry.origin}", "rename one of them"
            )
        entries[entry.name] = entry
    return entries


def evaluator_class(name: str, known: dict[str, Entry]) -> type[Any]:
    """The class behind a name.

    Raises:
        SettingsError: No such evaluator.
        PluginError: It can't be imported.
    """
    if name not in known:
        raise SettingsError("unknown-evaluator", f"there is no evaluator called {name!r}", did_you_mean(name, known, "all: efficient360 list evaluators"))
    return known[name].load()


def dimensions(plugins: Sequence[Path] = ()) -> list[Dimension]:
    """All dimensions in radar order.

    Raises:
        PluginError: Two of the same name, or a plug-in that can't be imported.
    """
    modules = [importlib.import_module(f"{DIMENSIONS}.{stem}") for stem in _stems("dimensions") if stem != "dimension"]
    named = [(module.DIMENSION, BUILT_IN) for module in modules]
    named += [(_loaded(point), str(point.value)) for point in entry_points(DIMENSIONS)]
    for path in plugins:
        if "Dimension(" in _source(path):
            named += [(dimension, str(path)) for dimension in dimensions_in(path)]
    origins: dict[str, str] = {}
    for dimension, origin in named:
        if not isinstance(dimension, Dimension):
            raise PluginError("no-dimension", f"{origin} is no Dimension", "point the entry point at a Dimension instance")
        if dimension.name in origins:
            message = f"two dimensions are called {dimension.name!r}: {origins[dimension.name]} and {origin}"
            raise PluginError("duplicate-dimension", message, "rename one of them")
        origins[dimension.name] = origin
    return sorted((dimension for dimension, _ in named), key=lambda d: (d.order, d.name))


def _stems(room: str) -> list[str]:
    return sorted(file.stem for file in (_HERE / room).glob("*.py") if not file.stem.startswith("_"))


def _built_in() -> Iterable[Entry]:
    for stem in _stems("evaluators"):
        module = f"{EVALUATORS}.{stem}"
        summary = next((c.summary for c in _classes((_HERE / "evaluators" / f"{stem}.py").read_text(encoding="utf-8")) if c.name == stem), "")
        yield Entry(stem, summary, BUILT_IN, lambda module=module, stem=stem: _named(importlib.import_module(module), stem))  # type: ignore[misc]


def _installed() -> Iterable[Entry]:
    for point in entry_points(EVALUATORS):
        package = point.dist.name if point.dist else point.value
        yield Entry(point.name, "", f"package {package}", lambda point=point: _loaded(point))  # type: ignore[misc]


def _in_file(path: Path) -> Iterable[Entry]:
    try:
        classes = _classes(_source(path))
    except RecursionError as error:
        raise PluginError("broken-plugin", f"the plug-in {path} is nested too deep to be read", "mend the file") from error
    for cls in classes:
        if cls.name:
            if not cls.name.isidentifier():  # it becomes part of keys and of folders' names
                raise PluginError("broken-plugin", f"the plug-in {path} names an evaluator {cls.name!a}, which is no identifier", "give it a snake_case name")
            yield Entry(cls.name, cls.summary, str(path), lambda name=cls.name: _named(imported(path, "plugin"), name))  # type: ignore[misc]


@final
@dataclass(frozen=True)
class _ClassText:
    name: str
    summary: str


def _classes(source: str) -> list[_ClassText]:
    """Evaluator classes in a source text: those with a literal ``name`` and a base called …Evaluator."""
    classes = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Evaluator") for base in node.bases):
            name = next((_literal_name(item) for item in node.body if _literal_name(item)), "")
            classes.append(_ClassText(name, (ast.get_docstring(node) or "").partition("\n")[0]))
    return classes


def _literal_name(item: ast.stmt) -> str:
    target = item.target if isinstance(item, ast.AnnAssign) else item.targets[0] if isinstance(item, ast.Assign) else None
    value = getattr(item, "value", None)
    if isinstance(target, ast.Name) and target.id == "name" and isinstance(value, ast.Constant):
        return str(value.value)
    return ""


def _source(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except OSError as error:
        raise PluginError("no-plugin", f"the plug-in {path} can't be read: {error.strerror}", "check the path") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: nested too deep for Python's parser
        raise PluginError("broken-plugin", f"the plug-in {path} is no Python: {reason(error)}", "mend the file") from error
    return text


def _loaded(point: Any) -> Any:
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a package's own code may raise anything
        raise PluginError("broken-plugin", f"the entry point {point.value} can't be imported: {reason(error)}", "mend the package") from error


def _named(module: ModuleType, name: str) -> type[Any]:
    for value in vars(module).values():
        if isinstance(value, type) and getattr(value, "name", None) == name and value.__module__ == module.__name__:
            return value
    raise PluginError("broken-plugin", f"{module.__name__} has no evaluator class with name = {name!r}", "give the class that name")


def entry_points(group: str) -> list[Any]:
    """The entry points of a group, ``importlib.metadata.EntryPoint`` each.

    ``importlib.metadata`` takes longer to import than all the rest of a listing, so it is asked only where some installed package names the group.
    """
    if not any(f"[{group}]" in file.read_text(encoding="utf-8", errors="replace") for root in sys.path for file in _declarations(root)):
        return []
    from importlib import metadata

    return list(metadata.entry_points(group=group))


def _declarations(root: str) -> list[Path]:
    folder = Path(root or ".")
    return [*folder.glob("*-info/entry_points.txt")] if folder.is_dir() else []
