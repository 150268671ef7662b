"""How a process ended, in words."""

import signal


def ending(code: int) -> str:
    """``was ended by SIGSEGV`` or ``ended with code 3``, of an exit code as :mod:`subprocess` gives it: negative for a signal."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def last_words(stderr: str) -> str:
    """The last line of what a process wrote to standard error, at most 300 characters after a colon; ``""`` when it wrote nothing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""
