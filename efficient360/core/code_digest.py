"""A digest of the code that makes a number: a module with everything it imports, so that nobody has to raise a version for stored results to be retired.

What is read is the syntax tree of each file, without comments, docstrings and formatting. Nothing is imported.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final, final

PACKAGE: Final = __name__.partition(".")[0]
FOLDER: Final = Path(__file__).parents[1]
UNFOLLOWED: Final = (
    "efficient360",  # lazy re-exports of everything
    "efficient360.errors",
    "efficient360.plugins",
    "efficient360.execution",
    "efficient360.reports",
    "efficient360.leaderboard",
    "efficient360.cli",
    "efficient360.core.canonical",
    "efficient360.core.code_digest",
    "efficient360.core.figures",
    "efficient360.core.outcome",
    "efficient360.core.thumbnails",
    "efficient360.deployment.runtimes.runtime_code",
    "efficient360.storage.json_lines",
    "efficient360.storage.outcomes",
)
"""What changes no number: it loads, runs, stores, words or draws. A room stands for all that is in it, ``efficient360`` for its ``__init__`` alone."""
_ALIASES: Final = {"PIL": "pillow", "ethosu": "ethos-u-vela", "pynvml": "nvidia-ml-py", "sklearn": "scikit-learn", "tvm": "apache-tvm", "yaml": "pyyaml"}
_UNREAD: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


@final
@dataclass(frozen=True)
class Module:
    """A module of ours or of a plug-in.

    Args:
        name: Dotted name, or the stem of a lone file.
        file: Its source.
    """

    name: str
    file: Path


@final
@dataclass(frozen=True)
class Code:
    """The code that makes a number.

    Args:
        digest: SHA-256 over the syntax trees of its modules, 24 hexadecimal digits.
        modules: Their names, sorted.
        libraries: Version of each distribution they import by the name it is imported by; ``None`` where it is not installed.
    """

    digest: str
    modules: Sequence[str]
    libraries: Mapping[str, str | None]


def module(name: str) -> Module:
    """A module of this package by its dotted name.

    Raises:
        ValueError: There is none.
    """
    file = _file(FOLDER.parent, name)
    if file is None:
        raise ValueError(f"there is no module {name}")
    return Module(name, file)


def module_of(cls: type) -> Module | None:
    """The module whose file holds a class; ``None`` where none does (a notebook, a prompt) and for the script that runs, of which it is a part."""
    if cls.__module__ == "__main__":
        return None
    codes = (getattr(value, "__code__", None) for value in vars(cls).values())
    files = [getattr(sys.modules.get(cls.__module__), "__file__", None), *(code.co_filename for code in codes if code is not None)]
    return next((Module(cls.__module__, Path(file)) for file in files if file is not None and Path(file).is_file()), None)


def code_of(roots: Collection[Module], members: Mapping[str, Collection[str]] | None = None) -> Code:
    """The code of modules with everything of ours, and of a plug-in's own package or folder, that they import, at whatever depth.

    A package that is imported as such, and a text that names a package of ours, stand for all modules in it: those are looked up by name.

    Args:
        roots: Where to start.
        members: For packages whose modules are looked up by name, the only ones that are meant.
    """
    homes = {PACKAGE: FOLDER.parent} | {_top(root.name): _home(root) for root in roots}
    folders = [_home(root) for root in roots if _top(root.name) != PACKAGE]
    seen: dict[str, Path] = {}
    libraries: set[str] = set()
    pending = [found for root in roots for found in (*_meant(root.name, homes[_top(root.name)], {}), root)]
    while pending:
        current = pending.pop()
        if current.name in seen:
            continue
        seen[current.name] = current.file
        for target in _targets(current):
            top = _top(target)
            if top not in homes and _top(current.name) != PACKAGE and (home := _own_folder(top, folders)) is not None:
                homes[top] = home
            if top in homes:
                pending += [found for found in _meant(target, homes[top], members or {}) if found.name not in seen and not _unfollowed(found.name)]
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
    body = json.dumps(sorted([name, _read(file).digest] for name, file in seen.items()))
    return Code(hashlib.sha256(body.encode()).hexdigest()[:24], sorted(seen), {name: version(name) for name in sorted(libraries)})


@cache
def version(name: str) -> str | None:
    """Version of the distribution that a module is imported from, without importing it; ``None`` where it is not installed."""
    try:
        return metadata.version(_ALIASES.get(name, name))
    except metadata.PackageNotFoundError:
        pass
    if PathFinder.find_spec(name) is None:
        return None
    owners = metadata.packages_distributions().get(name)  # more than a second in a large environment: only where nothing else tells
    return metadata.version(owners[0]) if owners else "unknown"


@final
@dataclass(frozen=True)
class _Source:
    """What is kept of a file.

    Args:
        digest: Of its syntax tree.
        imports: Modules that it imports, with their leading dots, and what it takes from each; ``""`` for the module itself.
        texts: Dotted texts in it.
    """

    digest: str
    imports: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


def _read(file: Path) -> _Source:
    """A file's source: this package's own once in a process, as it runs what it has loaded; a plug-in's again when it was changed."""
    if file.is_relative_to(FOLDER):
        return _parsed(file, 0, 0)
    stat = file.stat()
    return _parsed(file, stat.st_mtime_ns, stat.st_size)


@cache
def _parsed(file: Path, _modified: int, _size: int) -> _Source:
    data = file.read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):  # it can't be run either; whoever runs it is told
        return _Source(hashlib.sha256(data).hexdigest())
    imports: list[tuple[str, str]] = []
    texts: list[str] = []
    state = hashlib.sha256("\n".join(_normalised(tree, imports, texts)).encode("utf-8", "surrogatepass"))
    return _Source(state.hexdigest(), tuple(dict.fromkeys(imports)), tuple(dict.fromkeys(texts)))


def _normalised(tree: ast.AST, imports: list[tuple[str, str]], texts: list[str]) -> Iterator[str]:
    """The tree as texts, without strings that stand as statements; what it imports and which dotted texts it holds are added to the lists.

    Empty fields are left out: later versions of Python add such.
    """
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if not isinstance(node, ast.AST):
            yield node
            continue
        yield type(node).__name__
        if isinstance(node, ast.Constant):
            yield repr(node.value)
            if isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
                texts.append(node.value)
            continue
        if isinstance(node, ast.Import):
            imports += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += [("." * node.level + (node.module or ""), alias.name) for alias in node.names]
        stack.append(")")
        for name in reversed(node._fields):
            if name in _UNREAD or (value := getattr(node, name, None)) is None or value == []:
                continue
            if isinstance(value, list):
                stack += [item if isinstance(item, ast.AST) else repr(item) for item in reversed(value) if not _is_docstring(item)]
            else:
                stack.append(value if isinstance(value, ast.AST) else repr(value))
            stack.append(name)


def _is_docstring(item: Any) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def _targets(current: Module) -> Sequence[str]:
    """Absolute names of what a module imports or names; with a dot at its end where all of a package may be meant."""
    source, package = _read(current.file), current.name if current.file.name == "__init__.py" else current.name.rpartition(".")[0]
    return _absolute(source, package)


@cache
def _absolute(source: _Source, package: str) -> Sequence[str]:
    targets = [f"{text}." for text in source.texts if text.startswith(f"{PACKAGE}.")]
    for target, item in source.imports:
        level = len(target) - len(target.lstrip("."))
        parts = package.split(".") if package else []
        base = ".".join([*parts[: len(parts) - level + 1], *filter(None, [target[level:]])]) if level else target
        if base:
            targets += [base, *([f"{base}.{item}."] if item != "*" else [])] if item else [f"{base}."]
    return tuple(dict.fromkeys(targets))


def _meant(target: str, home: Path, members: Mapping[str, Collection[str]]) -> Sequence[Module]:
    """The modules that run when ``target`` is imported: its packages' ``__init__`` and itself, and all of a package that is meant as a whole."""
    if home == FOLDER.parent and target.removesuffix(".") not in members:
        return _meant_of_ours(target)
    return _looked_up(target, home, members)


@cache
def _meant_of_ours(target: str) -> Sequence[Module]:
    return _looked_up(target, FOLDER.parent, {})


def _looked_up(target: str, home: Path, members: Mapping[str, Collection[str]]) -> Sequence[Module]:
    name = target.removesuffix(".")
    parts = name.split(".")
    names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    file = _file(home, name)
    if target.endswith(".") and len(parts) > 1 and file is not None and file.name == "__init__.py":
        names += members[name] if name in members else _inside(name, file.parent)
    return [Module(part, found) for part in names if (found := _file(home, part)) is not None]


def _inside(package: str, folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        yield ".".join((package, *(part for part in parts if part != "__init__")))


def _file(home: Path, name: str) -> Path | None:
    base = home.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    if home == FOLDER.parent:
        return next((file for file in candidates if file in _our_files()), None)
    return next((file for file in candidates if file.is_file()), None)


@cache
def _our_files() -> frozenset[Path]:
    return frozenset(FOLDER.rglob("*.py"))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _home(root: Module) -> Path:
    """The folder that the root's outermost package lies in."""
    depth = root.name.count(".") + (root.file.name == "__init__.py")
    return root.file.parents[depth] if depth < len(root.file.parents) else root.file.parent


@cache
def _elsewhere(top: str) -> Path | None:
    """Where a module lies that belongs to no distribution and not to Python: somebody's own code on the path."""
    spec = PathFinder.find_spec(top)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or version(top) != "unknown":
        return None
    file = Path(spec.origin)
    return file.parents[1] if file.name == "__init__.py" else file.parent


def _own_folder(top: str, folders: Sequence[Path]) -> Path | None:
    """Where a module that a plug-in imports lies if it is its author's own: beside the plug-in, or somewhere on the path outside any distribution."""
    if top in sys.stdlib_module_names:
        return None
    return next((folder for folder in folders if _file(folder, top) is not None), None) or _elsewhere(top)


def _unfollowed(name: str) -> bool:
    return any(name == room or (room != PACKAGE and name.startswith(f"{room}.")) for room in UNFOLLOWED)
