"""A user's Python file as a module, with the files beside it importable as they are where it was written."""

import contextlib
import hashlib
import importlib.util
import random
import sys
import sysconfig
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import torch

from efficient360.errors import CheckpointError

MARK: Final = "efficient360_network_"
"""How the package of a user's file is called, with a digest of its folder behind it."""


def import_file(file: Path) -> ModuleType:
    """The file as a module, run once for each content that it has in this process.

    It keeps its place among Python's modules, where ``dataclasses``, ``pickle`` and compilers look its classes up, in a package of its own that stands
    for its folder: ``from .layers import Attention`` finds ``layers.py`` beside it, as ``from layers import Attention`` does.

    Raises:
        CheckpointError: It can't be read.
        Exception: Whatever its own code raises.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError("architecture-no-file", f"{file} can't be read: {error.strerror}", "check its permissions") from error
    place = file.resolve()
    package = f"{MARK}{hashlib.sha256(str(place.parent).encode()).hexdigest()[:8]}"
    name = f"{package}.{place.stem}_{hashlib.sha256(content).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise CheckpointError("architecture-no-file", f"{file} is no Python file", "give a file ending in .py")
    folder = ModuleType(package)
    folder.__path__ = [str(place.parent)]
    sys.modules.setdefault(package, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with own_siblings(file):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def own_siblings(file: Path) -> Iterator[None]:
    """Within it, modules beside a file can be imported; what its code sets for the whole process is put back afterwards.

    Their folder comes behind Python's own modules and what is installed, so that nothing lying there takes a library's name, and before folders inside of
    packages, which some put on the path for their own use. Of two files with siblings of the same name, each gets its own.
    """
    folder = file.resolve().parent
    inner = [path for path in sys.path if _is_inside_a_package(path)]
    hidden = {name: sys.modules.pop(name) for name in _modules_in_the_way(folder, inner)}
    kept = {name: module for name, module in hidden.items() if _lies_in(module, inner)}
    sys.path[:] = [path for path in sys.path if path not in inner] + [str(folder), *inner]
    dtype, numbers, arrays = torch.get_default_dtype(), random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(numbers)
        np.random.set_state(arrays)
        sys.modules.update(kept)
        if str(folder) in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(str(folder))]


def _modules_in_the_way(folder: Path, inner: Collection[str]) -> list[str]:
    """Modules with the name of one in this folder that came from beside another user's file, or from a folder inside of a package."""
    others = [path for name, module in [*sys.modules.items()] if name.startswith(MARK) and "." not in name for path in module.__path__]
    elsewhere = [place for place in (*others, *inner) if Path(place) != folder]
    if not elsewhere:
        return []
    tops = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    named = [(name, module) for name, module in [*sys.modules.items()] if name.partition(".")[0] in tops]
    return [name for name, module in named if _lies_in(module, elsewhere)]


def _lies_in(module: ModuleType, folders: Collection[str]) -> bool:
    home = getattr(module, "__file__", None)
    return home is not None and any(Path(home).is_relative_to(folder) for folder in folders)


def _is_inside_a_package(path: str) -> bool:
    """Whether it lies within an installed package: ONNX Runtime's tools import each other from there by their bare names."""
    return any(Path(path).is_relative_to(place) and Path(path) != Path(place) for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
