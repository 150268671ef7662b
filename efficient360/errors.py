"""The one error tree. Every error a user can reach says what happened, carries a stable code, and says what to do next."""

from typing import Any, Final

LONGEST_MESSAGE: Final = 900
"""Characters of a message; of a longer one, as a path or a name of thousands makes it, beginning and end are kept."""


class Efficient360Error(Exception):
    """A problem the user can mend: bad input, a missing file, an unreachable hub.

    Args:
        code: Stable kebab-case identifier, safe to match on in scripts (``checkpoint-not-found``).
        message: One sentence saying what is wrong, naming the offending value.
        hint: What to do next, as one sentence.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        short = message if len(message) <= LONGEST_MESSAGE else f"{message[:600]} … {message[-200:]}"
        super().__init__(short)
        self.code = code
        self.message = short
        self.hint = hint

    def to_json(self) -> dict[str, str]:
        """It as plain data."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by ``args`` alone; ours must cross the worker's pipe whole.
        return type(self), (self.code, self.message, self.hint)


class CheckpointError(Efficient360Error):
    """The checkpoint can't be found, read safely, or fitted to its architecture."""


class DatasetError(Efficient360Error):
    """The data set can't be found, read, or matched to the checkpoint."""


class TrainingDataError(DatasetError):
    """An image of the training split can't be read: it costs the evaluators that look at that split, and no other."""


class SettingsError(Efficient360Error):
    """A protocol, an evaluator's settings or the command line asks for something that doesn't exist."""


class DeviceError(Efficient360Error):
    """A device can't be reached or used: no client, no route, no permission, no interpreter there."""


class PluginError(Efficient360Error):
    """A plug-in can't be loaded, breaks the contract, or takes a name that is taken."""


class RunError(Efficient360Error):
    """A run's folder is missing, belongs to something else, or can't be read."""


class Unsupported(Efficient360Error):
    """Raised by an evaluator whose model or data lack what it needs; becomes ``Failure(unsupported)``."""


class OutOfTime(Efficient360Error):
    """Raised between two steps of work once the time budget is spent; becomes ``Failure(not-run)``."""


class MetricError(Efficient360Error, LookupError):
    """A report is asked for a metric that it has not, has no value of, or has several values of."""
