"""Imports point one way: a module imports only from rooms above its own."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "efficient360"
ORDER = [
    ["endings", "errors", "installed", "randomness"],
    ["figures", "plugin_file"],
    ["findings", "measurement"],
    ["formatting", "statistics", "pictures"],
    ["quality"],
    ["batch", "checkpoint", "rowlog"],
    ["model"],
    ["compression"],
    ["checkpoints"],
    ["environment", "examples"],
    ["evaluator"],
    ["recording"],
    ["pixel_store"],
    ["counting"],
    ["runtimes"],
    ["devices"],
    ["acceleration", "approximation", "attacks", "corruptions", "deployment", "doubt", "explaining", "privacy", "shifts", "spectra"],
    ["continuing"],
    ["dimensions"],
    ["registry"],
    ["datasets"],
    ["outcome"],
    ["events", "plan", "predictions", "store"],
    ["scoring"],
    ["evaluators", "examples_table"],
    ["opening"],
    ["identity"],
    ["sharing"],
    ["runner"],
    ["worker"],
    ["reports.report"],
    ["comparison"],
    ["reports"],
    ["evaluation"],
    ["leaderboard", "matrix"],
    ["conformance", "doctor"],
    ["listing", "console", "device_commands", "compressing"],
    ["commands"],
    ["cli"],
    ["__main__"],
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts:
        return "__init__"
    return ".".join(parts[:2]) if ".".join(parts[:2]) in RANK else parts[0]


MODULES = sorted(f for f in PACKAGE.rglob("*.py") if f.name != "__init__.py")
KNOWN = {".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts) for f in PACKAGE.rglob("*.py")}


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
    assert room in RANK, f"{module} stands in no room: give it a place in ORDER"
    for target in imports(file):
        other = room_of(target)
        if other == room:
            continue
        assert RANK[other] < RANK[room], f"{module} imports {target}, which stands below it"


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
    assert len(file.read_text().splitlines()) <= 300
