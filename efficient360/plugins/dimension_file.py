"""The dimensions in a user's file, read in a process of its own: whatever its code does, it does not do it to the report's process."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from efficient360.core.plain import plain
from efficient360.core.processes import ending, environment, last_words
from efficient360.core.text import reason
from efficient360.dimensions.dimension import Anchor, Dimension, Scale
from efficient360.errors import Efficient360Error, PluginError
from efficient360.plugins.plugin_file import imported

COMMAND = (sys.executable, "-P", "-m", "efficient360.plugins.dimension_file")
IMPORT_SECONDS = 120.0
"""How long the import of a plug-in may take; one that imports torch takes seconds."""


def dimensions_in(path: Path, seconds: float = IMPORT_SECONDS) -> list[Dimension]:
    """The dimensions that a file defines.

    Args:
        path: The file.
        seconds: How long its import may take.

    Raises:
        PluginError: It can't be imported, or a dimension in it is none.
    """
    try:
        done = subprocess.run([*COMMAND, str(path)], capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False, env=environment())
    except subprocess.TimeoutExpired as error:
        raise PluginError("plugin-hung", f"importing the plug-in {path} took longer than {seconds:.0f} s and was ended", "mend the file") from error
    answer = _answer(done.stdout)
    if answer is None:
        words = last_words(done.stderr.decode(errors="replace"))
        raise PluginError("broken-plugin", f"the plug-in {path} can't be imported: its process {ending(done.returncode)}{words}", "mend the file")
    if "error" in answer:
        raise PluginError(*answer["error"])
    return [_dimension(fields) for fields in answer["dimensions"]]


def _answer(output: bytes) -> dict[str, Any] | None:
    """The last line of what the process wrote, where that is an answer."""
    try:
        answer = json.loads(output.rpartition(b"\n")[2])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and ("error" in answer or "dimensions" in answer) else None


def _dimension(fields: dict[str, Any]) -> Dimension:
    anchors = tuple(Anchor(**{**anchor, "scale": Scale(anchor["scale"])}) for anchor in fields.pop("anchors"))
    related = tuple(fields.pop("related"))
    return Dimension(**fields, anchors=anchors, related=related)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = [value for value in vars(imported(path, "plugin")).values() if isinstance(value, Dimension)]
        return {"dimensions": [_plain(dimension, path) for dimension in found]}
    except Efficient360Error as error:
        return {"error": [error.code, error.message, error.hint]}


def _plain(dimension: Dimension, path: Path) -> Any:
    try:
        fields = plain(dataclasses.asdict(dimension))
        text = (dimension.name, dimension.title, dimension.question, dimension.caveat)
        if not all(isinstance(t, str) for t in text) or _dimension(dict(fields)) is None:
            raise TypeError("its name, title, question and caveat are texts")
    except Exception as error:  # its fields may hold anything
        raise PluginError("no-dimension", f"a dimension in {path} can't be read: {reason(error)}", "mend the file") from error
    return fields


def main() -> None:
    """Import the file named first and write its dimensions as the last line of the standard output, whatever the file printed before."""
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = _read(Path(sys.argv[1]))
    os.write(answers, b"\n" + json.dumps(answer).encode())
    os._exit(0)  # neither threads nor exit handlers of the plug-in hold it up


if __name__ == "__main__":
    main()
