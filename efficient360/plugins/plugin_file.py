"""A user's Python file, imported as a module."""

from pathlib import Path
from types import ModuleType

from efficient360.core.text import reason
from efficient360.errors import PluginError


def imported(path: Path, kind: str) -> ModuleType:
    """Run a plug-in's file.

    Args:
        path: The file. Files beside it can't be imported: their folder is not on the path, so that nothing lying there takes a library's name.
        kind: What it holds, part of the module's name: ``runtime``, ``attack``.

    Raises:
        PluginError: It is no Python file, or its own code raised, ``SystemExit`` too.
    """
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"efficient360_{kind}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError("broken-plugin", f"the plug-in {path} is no Python file", "give a file ending in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plug-in's own code may raise anything
        raise PluginError("broken-plugin", f"the plug-in {path} can't be imported: {reason(error)}", _hint(path, error)) from error
    return module


def _hint(path: Path, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and (path.parent / f"{error.name.partition('.')[0]}.py").is_file():
        return f"a plug-in imports no files beside it: install {error.name} as a package, put its folder in PYTHONPATH, or move its code into the plug-in"
    return "mend the file"
