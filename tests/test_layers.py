"""Imports point one way: a module imports only from rooms above its own."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).parent.parent / "efficient360"
FLOORS: list[dict[str, str]] = yaml.safe_load((PACKAGE.parent / "docs" / "architecture.yaml").read_text(encoding="utf-8"))
"""Rooms from the ground up: each imports only from floors below its own. Rooms of one floor don't import one another, nor do the methods."""
RANK = {room: rank for rank, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """The room of a module; every method is one."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[0] == "methods" else parts[0]


def floor_of(room: str) -> int:
    return RANK.get(room, RANK.get(room.partition(".")[0], -1))


MODULES = sorted(f for f in PACKAGE.rglob("*.py") if f.name != "__init__.py")
KNOWN = {".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for f in PACKAGE.rglob("*.py")}


@cache
def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("efficient360"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in KNOWN else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("efficient360")}
    return found


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    room = room_of(module)
    assert floor_of(room) >= 0, f"{module} stands in no room: give it a place in docs/architecture.yaml"
    for target in imports(file):
        other = room_of(target)
        assert other == room or floor_of(other) < floor_of(room), f"{module} imports {target}, which stands on no lower floor"


def test_no_cycle_within_a_room() -> None:
    graph = {".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts): imports(f) for f in MODULES}

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(graph.get(start, ()))
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo.extend(graph.get(module, ()))
        return seen

    assert [module for module in graph if module in reaches(module)] == []


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400
