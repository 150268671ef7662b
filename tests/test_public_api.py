import ast
import importlib
import importlib.metadata
import operator
import subprocess
import sys
from pathlib import Path

import pytest

import efficient360

NAMES: list[str] = vars(efficient360)["__all__"]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_its_modules_own(name: str) -> None:
    value = getattr(efficient360, name)
    assert value.__name__ == name
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(efficient360.__file__).with_suffix(".pyi").read_text())
    typed = {alias.asname: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == {name: getattr(efficient360, name).__module__ for name in NAMES}


def test_dir_is_complete_and_the_version_is_the_packages() -> None:
    assert {*NAMES, "__version__"} <= set(dir(efficient360))
    assert efficient360.__version__ == importlib.metadata.version("efficient360")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        operator.attrgetter("nothing")(efficient360)


def test_importing_the_package_imports_no_torch() -> None:
    subprocess.run(
        [sys.executable, "-c", "import efficient360, sys; efficient360.__version__; efficient360.evaluate; assert 'torch' not in sys.modules"], check=True
    )
