"""A user's Python file, imported as a module."""

from pathlib import Path
from types import ModuleType

from efficient360.errors import PluginError


def imported(path: Path, kind: str) -> ModuleType:
    """Run a plug-in's file.

    Args:
        path: The file.
        kind: What it holds, part of the module's name: ``runtime``, ``attack``.

    Raises:
        PluginError: It is no Python file, or its own code raised.
    """
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"efficient360_{kind}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError("broken-plugin", f"the plug-in {path} is no Python file", "give a file ending in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a plug-in's own code may raise anything
        raise PluginError("broken-plugin", f"the plug-in {path} can't be imported: {type(error).__name__}: {error}", "mend the file") from error
    return module
