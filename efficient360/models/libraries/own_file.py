"""A function or class in a user's own Python file as an architecture: ``path/to/file.py:build``.

The file is code that its user named and trusts; a name of this kind out of a file beside the weights is refused before it gets here
(:func:`efficient360.models.references.resolve`).
"""

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final

from torch import nn

from efficient360.core import canonical
from efficient360.core.close_names import close_names
from efficient360.core.code_digest import Module, code_of
from efficient360.core.paths import is_file, is_folder, user_path
from efficient360.core.text import reason
from efficient360.errors import CheckpointError
from efficient360.models.libraries.imported_file import import_file, own_siblings
from efficient360.models.libraries.library import Library, Published

SUFFIX: Final = ".py"
PREPROCESSING: Final = "PREPROCESSING"
"""Name of a dictionary in the file that says how images are prepared, in timm's terms."""
_SIZES: Final = ("img_size", "image_size", "input_size")
"""What networks call the argument that is the side of their images."""
_HINT: Final = "write --arch path/to/file.py:NAME, where NAME is a function or class that gives a torch.nn.Module"


@final
@dataclass(frozen=True)
class _Place:
    """Where a builder is.

    Args:
        file: The Python file.
        name: The function's or class's name in it.
    """

    file: Path
    name: str


def is_own_file(architecture: str) -> bool:
    """Whether a name means a Python file: ``net.py:build``, or ``net.py`` without a name."""
    return architecture.endswith(SUFFIX) or architecture.rpartition(":")[0].endswith(SUFFIX)


def located(architecture: str) -> str:
    """The name with the absolute path of its file; other libraries' names as they are."""
    file, _, name = architecture.rpartition(":")
    return f"{user_path(file).resolve()}:{name}" if file.endswith(SUFFIX) else architecture


def unlocated(architecture: str) -> str:
    """The name without its file's folder, which decides nothing; other libraries' names as they are."""
    return user_path(architecture).name if is_own_file(architecture) else architecture


@final
class OwnFileLibrary(Library):
    """Architectures in Python files that their users wrote."""

    @property
    def name(self) -> str:
        return "the file"

    def owns(self, architecture: str) -> bool:
        return is_own_file(architecture)

    def require(self, architecture: str) -> None:
        _builder(architecture)

    def names(self) -> tuple[str, ...]:
        return ()

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        place, builder = _place(architecture), _builder(architecture)
        _require_arguments(architecture, builder, arguments)
        try:
            with own_siblings(place.file):
                network = builder(**arguments)
        except Exception as error:  # a user's own code may raise anything
            raise CheckpointError(
                "architecture-raises", f"{architecture} raised {reason(error)}{_line(place.file, error)}", "mend the file, or give other values with --arch-arg"
            ) from error
        if not isinstance(network, nn.Module):
            more = "; of several things it gives, return the network alone" if isinstance(network, tuple | list | dict) else ""
            raise CheckpointError("architecture-no-module", f"{architecture} returned {type(network).__name__}, not a torch.nn.Module{more}", _HINT)
        return network.float()

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        """The file's dictionary ``PREPROCESSING``, and the image size that the builder's own defaults name."""
        builder, given = _builder(architecture), getattr(_module(_place(architecture).file), PREPROCESSING, {})
        if not isinstance(given, Mapping):
            message = f"{PREPROCESSING} in {_place(architecture).file} is {type(given).__name__}, not a dictionary"
            raise CheckpointError("architecture-preprocessing", message, "write it as {'input_size': 32, 'mean': (0.5, 0.5, 0.5), 'std': (0.5, 0.5, 0.5)}")
        values = {name: parameter.default for name, parameter in _parameters(builder).items() if parameter.default is not parameter.empty}
        size = next((values[name] for name in _SIZES if isinstance(values.get(name), int | tuple | list)), None)
        return {**({} if size is None else {"input_size": size}), **given}

    def published(self, reference: str) -> Published | None:
        return Published(reference) if is_own_file(reference) else None

    def source(self, architecture: str) -> str:
        """Over the syntax of the file, of the files beside it that it imports, and the versions of the libraries."""
        place = _place(architecture)
        code = code_of([Module(place.file.stem, place.file)])
        return canonical.digest([place.name, code.digest, dict(code.libraries)], architecture)


def _place(architecture: str) -> _Place:
    if architecture.endswith(SUFFIX):
        path = user_path(architecture)
        inside = f"; it has {', '.join(_buildable(_module(path))[:5]) or 'none'}" if is_file(path) else ""
        raise CheckpointError("architecture-no-name", f"{architecture} names a Python file, but no function or class in it{inside}", _HINT)
    file, _, name = architecture.rpartition(":")
    path = user_path(file)
    if not is_file(path):
        beside = path.parent
        near = close_names(path.name, [other.name for other in beside.iterdir() if other.suffix == SUFFIX]) if is_folder(beside) else ()
        told = f"; its folder has {' and '.join(near)}" if near else "" if is_folder(beside) else f"; there is no folder {beside} either"
        raise CheckpointError("architecture-no-file", f"there is no file {file}, where --arch says {name} is{told}", "check the path")
    return _Place(path, name)


def _builder(architecture: str) -> Callable[..., Any]:
    place = _place(architecture)
    module = _module(place.file)
    value = getattr(module, place.name, None)
    if value is None:
        known = _buildable(module)
        near = close_names(place.name, known) or tuple(known[:5])
        hint = f"it has {', '.join(near)}" if near else _HINT
        raise CheckpointError("architecture-no-such-name", f"{place.file} has no {place.name!r}", hint)
    if isinstance(value, nn.Module) or not callable(value):
        message = f"{place.name} in {place.file} is {type(value).__name__}, neither a function nor a class"
        raise CheckpointError("architecture-not-callable", message, f"write a function there that returns a new network, def build(): …; {_HINT}")
    builder: Callable[..., Any] = value
    return builder


def _buildable(module: ModuleType) -> list[str]:
    """Functions and network classes that a file defines itself, functions first."""
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")}
    functions = [name for name, value in own.items() if inspect.isfunction(value)]
    return functions + [name for name, value in own.items() if isinstance(value, type) and issubclass(value, nn.Module)]


def _module(file: Path) -> ModuleType:
    try:
        return import_file(file)
    except CheckpointError:
        raise
    except Exception as error:  # a user's own code may raise anything
        message = f"{file} can't be imported: {reason(error)}{_line(file, error)}"
        missing = isinstance(error, ModuleNotFoundError) and error.name
        hint = f"install {error.name}, or put its file beside {file.name}" if missing and isinstance(error, ModuleNotFoundError) else "mend the file"
        raise CheckpointError("architecture-file-broken", message, hint) from error


def _parameters(builder: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(builder).parameters
    except (ValueError, TypeError):  # of a class written in C
        return {}


def _require_arguments(architecture: str, builder: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(builder)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise CheckpointError(
            "architecture-arguments",
            f"{architecture} can't be called: {error}",
            f"it is {architecture.rpartition(':')[2]}{signature}: give what it takes with --arch-arg KEY=VALUE",
        ) from error


def _line(file: Path, error: BaseException) -> str:
    """The last line of a user's own file that an error came through."""
    folder = file.resolve().parent
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve().is_relative_to(folder)]
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f" (line {error.lineno})"
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
