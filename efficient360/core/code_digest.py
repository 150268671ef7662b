"""A digest of the code that makes a number: a module with everything it imports, so that nobody has to raise a version for stored results to be retired.

What counts of a file is in :mod:`efficient360.core.syntax_digest`. Nothing is imported.
"""

import hashlib
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final, final

from efficient360.core.syntax_digest import Source, keep, read

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
    "efficient360.core.syntax_digest",
    "efficient360.core.text",
    "efficient360.core.thumbnails",
    "efficient360.core.written_here",
    "efficient360.deployment.runtimes.runtime_code",
    "efficient360.storage.json_lines",
    "efficient360.storage.outcomes",
)
"""What changes no number: it loads, runs, stores, words or draws. A room stands for all that is in it, ``efficient360`` for its ``__init__`` alone."""
_ALIASES: Final = {
    "PIL": "pillow",
    "ethosu": "ethos-u-vela",
    "open_clip": "open-clip-torch",
    "pynvml": "nvidia-ml-py",
    "sklearn": "scikit-learn",
    "tvm": "apache-tvm",
    "yaml": "pyyaml",
}


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
    seen: dict[str, Module] = {}
    libraries: set[str] = set()
    packages = [found for root in roots for found in _meant(root.name, homes[_top(root.name)], {}) if not _unfollowed(found.name)]
    pending = [*packages, *roots]
    while pending:
        current = pending.pop()
        if current.name in seen:
            continue
        seen[current.name] = current
        for target in _targets(current):
            top = _top(target)
            if top not in homes and _top(current.name) != PACKAGE and (home := _own_folder(top, folders)) is not None:
                homes[top] = home
            if top in homes:
                pending += [found for found in _meant(target, homes[top], members or {}) if found.name not in seen and not _unfollowed(found.name)]
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
    keep()
    body = json.dumps(sorted([name, _said(current).digest] for name, current in seen.items()))
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


def _said(current: Module) -> Source:
    return _said_by_ours(current) if _top(current.name) == PACKAGE else read(current.file, lasting=False)


@cache
def _said_by_ours(current: Module) -> Source:
    return read(current.file, lasting=True)


def _targets(current: Module) -> Sequence[str]:
    """Absolute names of what a module imports or names; with a dot at its end where all of a package may be meant."""
    return _targets_of_ours(current) if _top(current.name) == PACKAGE else _absolute(current)


@cache
def _targets_of_ours(current: Module) -> Sequence[str]:
    return _absolute(current)


def _absolute(current: Module) -> Sequence[str]:
    source, package = _said(current), current.name if current.file.name == "__init__.py" else current.name.rpartition(".")[0]
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
    if _top(target) == PACKAGE and target.removesuffix(".") not in members:
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
    if _top(name) == PACKAGE:
        return _our_files().get(name)
    base = home.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _our_files() -> Mapping[str, Path]:
    """Files of this package by dotted name."""
    parts = ((file, file.relative_to(FOLDER.parent).with_suffix("").parts) for file in FOLDER.rglob("*.py"))
    return {".".join(names[:-1] if names[-1] == "__init__" else names): file for file, names in parts}


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


@cache
def _unfollowed(name: str) -> bool:
    return any(name == room or (room != PACKAGE and name.startswith(f"{room}.")) for room in UNFOLLOWED)
