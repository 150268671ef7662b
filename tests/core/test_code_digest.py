"""A digest of the code that makes a number: what it holds, and what changes it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core import code_digest, syntax_digest
from efficient360.core.code_digest import FOLDER, UNFOLLOWED, Code, Module, code_of, module

EVALUATORS = sorted(file.stem for file in (FOLDER / "evaluators").glob("*.py") if file.stem != "__init__")


def evaluator(name: str) -> Code:
    return code_of([module(f"efficient360.evaluators.{name}")])


def lone(folder: Path, text: str, name: str = "own") -> Code:
    (folder / f"{name}.py").write_text(text)
    syntax_digest._read.cache_clear()  # two writes within one tick of the clock
    return code_of([Module(name, folder / f"{name}.py")])


@pytest.mark.parametrize(
    "same",
    [
        "def f(x):\n    return x + 1\n",
        'def f(x):\n    """What it is."""\n    return x + 1  # more\n',
        '"""A module."""\n\ndef f(x):\n\n    return (x +\n            1)\n',
        "# first\ndef f(x): return x + 1\n",
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(tmp_path: Path, same: str) -> None:
    assert lone(tmp_path, same).digest == lone(tmp_path, "def f(x):\n    return x + 1\n").digest


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n    return x + 2\n",
        "def f(x):\n    return x - 1\n",
        "def f(y):\n    return y + 1\n",
        "def f(x):\n    return x + 1.0\n",
        "def f(x):\n    return x + '1'\n",
        "def f(x=None):\n    return x + 1\n",
        "def f(x, /):\n    return x + 1\n",
        "@print\ndef f(x):\n    return x + 1\n",
        "async def f(x):\n    return x + 1\n",
        "def f(x) -> int:\n    return x + 1\n",
    ],
)
def test_code_counts(tmp_path: Path, other: str) -> None:
    assert lone(tmp_path, other).digest != lone(tmp_path, "def f(x):\n    return x + 1\n").digest


@given(st.lists(st.sampled_from(["x = 1", "x = 2", "y = 1", "f(x)", "f(x, y)", "f((x, y))", "f([x], y)", "[x, y]", "[[x], y]", "[x, [y]]"]), max_size=4))
def test_texts_with_one_digest_are_the_same_program(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("code")
    text, other = "\n".join(lines), "\n".join(reversed(lines))
    assert (lone(folder, text).digest == lone(folder, other).digest) == (ast.dump(ast.parse(text)) == ast.dump(ast.parse(other)))


def test_modules_beside_it_are_followed_at_whatever_depth_and_libraries_are_named(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def f():\n    import deeper\n    return deeper.X\n")
    (tmp_path / "deeper.py").write_text("X = 1\n")
    (tmp_path / "stranger.py").write_text("Y = 1\n")
    text = "def g():\n    from helper import f\n    import numpy, os, nowhere_to_be_found\n"
    before = lone(tmp_path, text)
    assert before.modules == ["deeper", "helper", "own"]
    assert before.libraries == {"numpy": code_digest.version("numpy"), "nowhere_to_be_found": None}
    (tmp_path / "stranger.py").write_text("Y = 2\n")
    assert lone(tmp_path, text).digest == before.digest
    (tmp_path / "deeper.py").write_text("X = 2\n")
    assert lone(tmp_path, text).digest != before.digest


def test_a_package_is_followed_through_relative_imports(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    (package / "inner").mkdir(parents=True)
    for name, text in {"__init__": "", "a": "from . import b\nfrom .inner.c import Z\n", "b": "", "inner/__init__": "", "inner/c": "Z = 1\n", "d": ""}.items():
        (package / f"{name}.py").write_text(text)
    assert code_of([Module("mine.a", package / "a.py")]).modules == ["mine", "mine.a", "mine.b", "mine.inner", "mine.inner.c"]


def test_an_attack_of_ones_own_brings_ours_that_it_builds_upon(tmp_path: Path) -> None:
    code = lone(tmp_path, "from efficient360.methods.adversarial.square import Square\nATTACK = Square()\n")
    assert {"own", "efficient360.methods.adversarial.square", "efficient360.core.statistics"} - {"efficient360.core.statistics"} <= set(code.modules)


@pytest.mark.parametrize(
    ("name", "looked_up"),
    [
        ("adversarial", "efficient360.methods.adversarial.torchattacks_adapter"),
        ("adversarial", "efficient360.methods.adversarial.square"),
        ("black_box", "efficient360.methods.adversarial.rays"),
        ("faithfulness", "efficient360.methods.attribution.gradcam"),
        ("memory", "efficient360.methods.complexity.memory_worker"),
        ("latency", "efficient360.deployment.runtimes.converters.openvino"),
        ("latency", "efficient360.deployment.runtimes.kit.sessions.openvino"),
        ("latency", "efficient360.deployment.runtimes.kit.worker"),
        ("latency", "efficient360.deployment.runtimes.build_process"),
        ("device_reach", "efficient360.deployment.runtimes.kit.counters"),
        ("acceleration", "efficient360.deployment.hardware_fit.npu_process"),
        ("group_fairness", "efficient360.datasets.derived_groups"),
        ("continual", "efficient360.methods.corruptions.noise"),
    ],
)
def test_what_is_looked_up_by_name_or_run_in_another_process_belongs_to_it(name: str, looked_up: str) -> None:
    assert looked_up in evaluator(name).modules


def test_a_method_belongs_to_those_who_use_it_alone() -> None:
    using = [name for name in EVALUATORS if "efficient360.methods.adversarial.square" in evaluator(name).modules]
    assert using == ["adversarial", "black_box"]
    assert len({evaluator(name).digest for name in EVALUATORS}) == len(EVALUATORS)


@pytest.mark.parametrize("name", EVALUATORS)
def test_what_changes_no_number_does_not_belong_to_it(name: str) -> None:
    modules = evaluator(name).modules
    assert "efficient360" not in modules
    assert not [m for m in modules if any(m == room or m.startswith(f"{room}.") for room in (*UNFOLLOWED, "efficient360.api") if room != "efficient360")]


def test_accuracy_rests_on_little() -> None:
    rooms = {module.split(".")[1] for module in evaluator("accuracy").modules}
    assert rooms == {"core", "evaluator", "evaluators", "models"}


def test_libraries_that_are_imported_lazily_are_named() -> None:
    assert {"torch", "timm", "torchattacks", "scipy"} <= set(evaluator("adversarial").libraries)
    assert evaluator("private_training").libraries["opacus"] == code_digest.version("opacus")
    assert "torchattacks" not in evaluator("accuracy").libraries


def test_members_narrow_a_package_that_is_looked_up_by_name() -> None:
    converters = "efficient360.deployment.runtimes.converters"
    code = code_of([module("efficient360.deployment.runtimes.building")], {converters: [f"{converters}.tvm"]})
    assert [m for m in code.modules if m.startswith(f"{converters}.")] == [f"{converters}.tvm"]


IMPORTS = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    before = set(sys.modules)
    importlib.import_module(f"efficient360.evaluators.{name}")
    loaded[name] = sorted(m for m in set(sys.modules) - before if m.startswith("efficient360"))
print(json.dumps(loaded))
"""


@pytest.mark.slow
def test_whatever_python_imports_for_an_evaluator_belongs_to_it() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS, *EVALUATORS], capture_output=True, text=True, check=True)
    for name, loaded in json.loads(done.stdout.splitlines()[-1]).items():
        missing = set(loaded) - set(evaluator(name).modules)
        assert not [m for m in missing if not any(m == room or (room != "efficient360" and m.startswith(f"{room}.")) for room in UNFOLLOWED)], name
