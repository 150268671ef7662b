import ast
import os
import platform
import sys
from pathlib import Path

import pytest

from efficient360.deployment.runtimes import catalogue, kit
from efficient360.deployment.runtimes.kit import counters, machine

KIT = Path(kit.__file__).parent
FILES = sorted(KIT.rglob("*.py"))
CUDA = {"torch_cuda": {"torch"}, "torch_cuda_graphs": {"torch"}, "onnxruntime_cuda": {"onnxruntime"}}
RUNTIMES = {name: {module} for name, (module, _) in machine.PACKAGES.items()} | CUDA
RUNTIMES["executorch"] |= {"torch"}  # its Python binding takes torch's tensors


def roots(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(KIT)))
def test_nothing_but_the_standard_library_numpy_and_the_runtime(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    allowed = set(sys.stdlib_module_names) | {"numpy"}
    own = RUNTIMES.get(file.stem, set()) if file.parent.name == "sessions" else {"pynvml"} if file.stem == "energy" else set()
    assert roots(tree) <= allowed | own
    at_import = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
    assert roots(at_import) <= allowed  # so that the time of importing the runtime can be taken


@pytest.mark.parametrize("name", catalogue.names())
def test_each_session_has_what_a_worker_asks_for(name: str) -> None:
    tree = ast.parse((KIT / "sessions" / f"{name}.py").read_text())
    told = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    told |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}
    told |= {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {"MODULES", "version", "load"} <= told


def test_counters_grow_with_work() -> None:
    before = counters.read()
    while counters.read()["own"] < before["own"] + 0.05:
        sum(range(10000))
    after = counters.read()
    assert after["involuntary"] >= before["involuntary"]
    if "busy" in before:
        assert after["busy"] >= before["busy"]


def test_peak_memory_sees_what_was_used() -> None:
    before = counters.peak_memory()
    block = bytearray(before + 50_000_000)
    block[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(block[:: os.sysconf("SC_PAGE_SIZE")])
    assert counters.peak_memory() >= before + 50_000_000


def test_the_machine_is_described() -> None:
    told = machine.describe()
    assert told["architecture"] == platform.machine()
    assert 1 <= told["cores"] <= (os.cpu_count() or 1)
    assert told["memory"] > 2**28
    assert told["cpu"]
    assert set(told["isa"]) <= set(machine.ISAS)
    assert told["runtimes"]["torch"].split("+")[0].count(".") == 2
