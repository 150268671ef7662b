import importlib
import subprocess
import sys

import pytest

import efficient360


@pytest.mark.parametrize("name", efficient360.__all__)
def test_every_public_name_is_its_modules_own(name: str) -> None:
    value = getattr(efficient360, name)
    assert value.__name__ == name
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = efficient360.nothing


def test_importing_the_package_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import efficient360, sys; assert 'torch' not in sys.modules"], check=True)
