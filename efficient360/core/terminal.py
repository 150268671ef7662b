"""The one way to a terminal: nothing in a text steers it, an encoding that lacks a sign or an output that is full or closed ends no evaluation."""

import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import IO, Any, TextIO, cast, final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from efficient360.core.text import encodable, shown


@final
class Terminal:
    """A text stream to a person. What can't be written any more (a closed pipe, a full disk) is dropped, and :attr:`lost` says so.

    Args:
        stream: Where it goes, such as ``sys.stdout``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None
        """The first error that a write met; ``None`` while all is well."""

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:
        """How the stream treats what it can't encode: never met, as nothing such reaches it."""
        return getattr(self._stream, "errors", None)

    @property
    def buffer(self) -> Any:
        """The bytes beneath, for libraries that ask; what is written there goes unseen."""
        return self._stream.buffer

    @property
    def closed(self) -> bool:
        """As the stream."""
        return self._stream.closed

    def write(self, text: str) -> int:
        """Write text of any origin, without what would steer the terminal."""
        return self.write_styled(shown(text))

    def write_styled(self, text: str) -> int:
        """Write text with control sequences of our own; its contents have been through :func:`efficient360.core.text.shown`."""
        if self.lost is None:
            try:
                self._stream.write(encodable(text, self.encoding))
            except OSError as error:
                self._lose(error)
            except ValueError:  # closed beneath us
                self._lose(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of some lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Bring out what is written."""
        if self.lost is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)
            except ValueError:
                self._lose(OSError(errno.EBADF, os.strerror(errno.EBADF)))

    def isatty(self) -> bool:
        """Whether somebody looks at it."""
        return self.lost is None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor beneath."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def _lose(self, error: OSError) -> None:
        self.lost = error
        try:  # what the stream still holds would raise once more when the interpreter ends
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass


@final
class _Styled:
    """The side of a :class:`Terminal` that takes the console's own control sequences."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.write, self.flush, self.isatty, self.fileno = terminal.write_styled, terminal.flush, terminal.isatty, terminal.fileno

    @property
    def encoding(self) -> str:
        return self._terminal.encoding


@final
class _Console(Console):
    """A console whose segments of text are shown as :func:`efficient360.core.text.shown` does; only its own controls steer."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text), segment.style)


def console(stream: TextIO | Terminal | None = None) -> Console:
    """A console on a stream, by default the standard output."""
    target: Any = sys.stdout if stream is None else stream
    terminal = target if isinstance(target, Terminal) else Terminal(target)
    return _Console(file=cast(IO[str], _Styled(terminal)))


def plain(renderable: RenderableType, width: int) -> str:
    """What a console of ``width`` columns prints, without colour or any other control, whatever the environment asks for."""
    page = io.StringIO()
    _Console(file=page, force_terminal=False, color_system=None, width=width, highlight=False).print(renderable)
    return page.getvalue()
