"""Text that comes from elsewhere (names, keys, messages, what a library prints), made fit to be shown: nothing in it can steer a terminal."""

HIDDEN = "\N{REPLACEMENT CHARACTER}"
"""Stands for each character that is not shown: control and escape characters, bidirectional marks, invisible and unassigned ones."""

_SIGNS = {"−": "-", "–": "-", "—": "-", "‑": "-", "·": "-", "…": "...", "→": "->", "×": "x", "µ": "u", "°": " deg", "█": "#", "≥": ">=", "≤": "<=", "±": "+-"}
_MARKS = {"’": "'", "‘": "'", "“": '"', "”": '"', "\N{NO-BREAK SPACE}": " ", "✓": "+", "✗": "x", "ε": "eps", "ℓ": "l", HIDDEN: "?"}
_PLAIN = str.maketrans(_SIGNS | _MARKS)
"""What our own signs become where the terminal's encoding lacks them, so that numbers stay readable."""


def shown(text: str) -> str:
    """``text`` with its line breaks and tabs, and :data:`HIDDEN` for every other character that cannot be printed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " if c.isspace() and c not in _BREAKS else HIDDEN for c in text.replace("\r\n", "\n"))


_BREAKS = frozenset("\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def one_line(text: str, limit: int | None = None) -> str:
    """``text`` on one line: runs of white space become one space, whatever cannot be printed :data:`HIDDEN`.

    Args:
        text: Any text.
        limit: Most characters kept; an ellipsis stands for the rest.
    """
    line = shown(" ".join(text.split()))
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def encodable(text: str, encoding: str) -> str:
    """``text`` in what an encoding has: itself where it has all of it; else our own signs in ASCII, and escapes for the rest."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:  # an encoding that Python does not know
        return encodable(text, "ascii")
    return text


def reason(error: BaseException, limit: int = 500) -> str:
    """An exception's type and message on one line, also where its own ``str()`` raises."""
    try:
        message = one_line(str(error), limit)
    except Exception:  # a plug-in's exception may do anything when asked what it says
        message = "its message can't be read"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
