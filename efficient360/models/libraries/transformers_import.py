"""The ``transformers`` library, which is optional: imported only where a checkpoint is one of its."""

import importlib.util

from efficient360.errors import CheckpointError


def has_transformers() -> bool:
    """Whether ``transformers`` is installed; imports nothing."""
    return importlib.util.find_spec("transformers") is not None


def require_transformers(what: str) -> None:
    """Ask before ``transformers`` is imported.

    Args:
        what: What needs it, for the message.

    Raises:
        CheckpointError: It is not installed.
    """
    if not has_transformers():
        raise CheckpointError("library-missing", f"{what} needs the library transformers, which is not installed", "pip install 'efficient360[transformers]'")
