"""What a command says and where: its result on the standard output, in full, in brief or as JSON; progress and warnings on the standard error; a log of all."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO, cast, final

from rich.console import RenderableType
from rich.text import Text

from efficient360.core.terminal import Terminal, console, plain
from efficient360.core.text import one_line
from efficient360.errors import Efficient360Error, SettingsError

LOG_WIDTH: Final = 120
"""Columns of a result in a log file."""


class Form(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    SUMMARY = "summary"
    JSON = "json"
    NOTHING = "nothing"


@final
@dataclass(frozen=True)
class Result:
    """A command's result in its forms, each made only when it is printed.

    Args:
        text: In full. A plain text is printed as it is: nothing in it is markup.
        summary: In a few lines, the verdict first.
        data: As plain data for JSON: dictionaries, lists, texts, finite numbers, ``None``.
    """

    text: Callable[[], RenderableType]
    summary: Callable[[], RenderableType]
    data: Callable[[], Any]


@final
class Output:
    """Where one command's words go. Made by :func:`opened` from :mod:`efficient360.cli.output_options`; a command finds it as ``options.console``.

    Args:
        form: How the result is printed.
        quiet: Whether progress is left out.
        log: An open log; ``None`` keeps none.
    """

    def __init__(self, form: Form = Form.TEXT, quiet: bool = False, log: Terminal | None = None) -> None:
        self.form, self.quiet = form, quiet
        self._log = None if log is None else Terminal(cast(TextIO, _Dated(log)))

    def result(self, result: Result) -> None:
        """Print a result in the form that was asked for, and log it."""
        if self.form is Form.JSON:
            text = json.dumps(result.data(), indent=2, ensure_ascii=False, allow_nan=False)
            sys.stdout.write(text + "\n")
            self.log(text)
            return
        if self.form is Form.NOTHING and self._log is None:
            return
        rendered = result.summary() if self.form is Form.SUMMARY else result.text()
        rendered = Text(rendered) if isinstance(rendered, str) else rendered
        if self.form is not Form.NOTHING:
            console().print(rendered, highlight=False)
        if self._log is not None:
            self.log(plain(rendered, LOG_WIDTH))

    def warn(self, text: str) -> None:
        """Print a warning or an error on the standard error, and log it."""
        print(f"efficient360: {text}", file=sys.stderr)
        self.log(f"efficient360: {text}")

    def step(self, text: str) -> None:
        """Print a line of progress on the standard error, unless quiet, and log it."""
        if not self.quiet:
            print(text, file=sys.stderr)
        self.log(text)

    def warn_of(self, error: Efficient360Error) -> None:
        """Tell what is wrong and, on a second line, what to do."""
        self.warn(one_line(error.message) + (f"\n  → {one_line(error.hint)}" if error.hint else ""))

    def error(self, error: Efficient360Error) -> None:
        """Tell the error that ends the command; as JSON with its stable code too, where that was asked for."""
        self.warn_of(error)
        if self.form is Form.JSON:
            print(json.dumps({"error": error.to_json()}, indent=2, ensure_ascii=False))

    def log(self, text: str) -> None:
        """Append lines to the log only."""
        if self._log is not None:
            self._log.write(text + "\n")

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[Any], None]]:
        """Something that shows a run's events on the standard error, unless quiet, and logs them."""
        from efficient360.execution.progress import lines, listener

        with contextlib.ExitStack() as stack:
            listeners = [] if self.quiet else [stack.enter_context(listener(sys.stderr))]
            if self._log is not None:
                listeners.append(lines(self._log))

            def show(event: Any) -> None:
                for listen in listeners:
                    listen(event)

            yield show


@final
class _Dated:
    """A log as a text stream that puts the time before each line."""

    encoding, errors, closed = "utf-8", None, False

    def __init__(self, log: Terminal) -> None:
        self._log = log

    def write(self, text: str) -> int:
        """Write lines, each behind the time, and bring them out."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        for line in text.rstrip("\n").split("\n"):
            self._log.write(f"{now} {line}".rstrip() + "\n")
        self._log.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Nobody looks at it."""
        return False


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator[Output]:
    """The output that a command's options ask for, its log open.

    Args:
        options: Of any command; those without output options print in full.

    Raises:
        SettingsError: The log file can't be written (``bad-option``).
    """
    form = Form.JSON if getattr(options, "json", False) else Form.SUMMARY if getattr(options, "summary", False) else Form.TEXT
    quiet = getattr(options, "quiet", False)
    path: Path | None = getattr(options, "log_file", None)
    form = Form.NOTHING if quiet and form is Form.TEXT else form
    if path is None:
        yield Output(form, quiet)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SettingsError("bad-option", f"the log file {path} can't be written: {error.strerror}", "name a file in a folder of yours") from error
    with stream:
        yield Output(form, quiet, Terminal(stream))
