import errno
import io
import os

import pytest
from rich.text import Text

from efficient360.core.terminal import Terminal, console


class Failing(io.StringIO):
    """A stream on a full disk or a closed pipe."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def write(self, text: str) -> int:
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ENOSPC])
def test_an_output_that_fails_ends_nothing(code: int) -> None:
    terminal = Terminal(Failing(code))
    print("one", file=terminal)
    terminal.write("two")
    terminal.flush()
    assert terminal.lost is not None
    assert terminal.lost.errno == code


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    terminal = Terminal(stream)
    terminal.write("text")
    terminal.flush()
    assert terminal.lost is not None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_signs_is_no_error(encoding: str) -> None:
    raw = io.BytesIO()
    terminal = Terminal(io.TextIOWrapper(raw, encoding=encoding))
    console(terminal).print(Text("█ −1 → 漢"))
    terminal.flush()
    assert raw.getvalue().decode(encoding) == "# -1 -> \\u6f22\n"


def test_neither_prints_nor_consoles_let_a_text_steer() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    print("plain \x1b[2J\u202e", file=terminal)
    console(terminal).print("styled \x1b[2J\u202e", Text("and text \x1b]0;x\x07"), style="bold", markup=False)
    assert not {"\x1b", "\u202e", "\x07"} & set(stream.getvalue())
