"""What a Python file says: a digest of its syntax tree, without comments, docstrings and formatting, and the modules that it names.

Parsing a few hundred files takes a second, so what was learned of a file is kept in the user's cache under a digest of its bytes. Without a cache that can be
written, or with one that is damaged, it is learned again.
"""

import ast
import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, final

_UNREAD: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_FORMAT: Final = f"1-{sys.version_info.major}.{sys.version_info.minor}"
"""Raised with every change of this file's digests; a Python of another version may parse otherwise."""
_MOST_KEPT: Final = 5000


@final
@dataclass(frozen=True)
class Source:
    """What is kept of a file.

    Args:
        digest: Of its syntax tree.
        imports: Modules that it imports, with their leading dots, and what it takes from each; ``""`` for the module itself.
        texts: Dotted texts in it.
    """

    digest: str
    imports: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


def read(file: Path, *, lasting: bool) -> Source:
    """What a file says.

    Args:
        file: The file.
        lasting: Whether it stays as it is while this process runs: a module of this package, which is loaded already. Others are read again when changed.
    """
    if lasting:
        return _read(file, 0, 0)
    stat = file.stat()
    return _read(file, stat.st_mtime_ns, stat.st_size)


@cache
def _read(file: Path, _modified: int, _size: int) -> Source:
    data = file.read_bytes()
    key = hashlib.sha256(data).hexdigest()[:40]
    known = _Memo.of_this_user().entries
    if key not in known:
        known[key] = parsed(data)
    return known[key]


def parsed(data: bytes) -> Source:
    """What a file of these bytes says."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):  # it can't be run either; whoever runs it is told
        return Source(hashlib.sha256(data).hexdigest())
    imports: list[tuple[str, str]] = []
    texts: list[str] = []
    state = hashlib.sha256("\n".join(_normalised(tree, imports, texts)).encode("utf-8", "surrogatepass"))
    return Source(state.hexdigest(), tuple(dict.fromkeys(imports)), tuple(dict.fromkeys(texts)))


def keep() -> None:
    """Write what was learned into the user's cache; without one, nothing."""
    _Memo.of_this_user().save()


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


@final
class _Memo:
    """Sources by digests of their bytes, and how many of them the file holds."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.entries: dict[str, Source] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            data = json.loads(file.read_text(encoding="utf-8"))
            self.entries = {
                key: Source(digest, tuple((module, item) for module, item in imports), tuple(texts)) for key, (digest, imports, texts) in data.items()
            }
        self.kept = len(self.entries)

    @classmethod
    @cache
    def of_this_user(cls) -> "_Memo":
        """``efficient360/syntax-….json`` in the folder that XDG names for caches."""
        base = os.environ.get("XDG_CACHE_HOME", "")
        return cls((Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "efficient360" / f"syntax-{_FORMAT}.json")

    def save(self) -> None:
        """Replace the file where something was learned since."""
        if len(self.entries) == self.kept:
            return
        newest = dict(list(self.entries.items())[-_MOST_KEPT:])
        body = json.dumps({key: [source.digest, source.imports, source.texts] for key, source in newest.items()})
        part = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(body, encoding="utf-8")
            part.replace(self.file)
            self.kept = len(self.entries)
