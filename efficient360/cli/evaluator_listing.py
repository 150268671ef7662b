"""``efficient360 list evaluators``: by axis, each with what it costs and the smallest protocol that runs it. No evaluator is imported."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from efficient360.core import formatting
from efficient360.dimensions.dimension import Dimension
from efficient360.execution.costs import Circumstances, expected_seconds, recorded
from efficient360.execution.plan import protocol_names, read_protocol
from efficient360.plugins.registry import BUILT_IN, Entry, dimensions, evaluators

REFERENCE: Final = Circumstances(images=1000, seconds_per_image=0.005)
"""A ViT-Tiny on 1,000 images of 32 x 32, on one core of the machine of the recorded costs."""
LEGEND: Final = (
    "TIME is about what it takes for a ViT-Tiny on 1,000 images of 32 x 32 with one CPU core, under the smallest PROTOCOL that runs it;",
    "a dash: unknown, or no protocol runs it (name it with --only). In full: efficient360 show evaluator NAME",
)
_NO_AXIS: Final = "Further evaluators, which no axis shows"


def evaluator_lines(plugins: Sequence[Path]) -> list[str]:
    """The listing: a heading for each axis, a line for each evaluator; wrapped on a terminal, whole elsewhere.

    Args:
        plugins: Files with further evaluators and dimensions.
    """
    known = evaluators(plugins)
    planned = _planned(known)
    lines: list[str] = []
    width = max(map(len, known))
    for title, question, names in _by_axis(dimensions(plugins), known):
        lines += ["", f"{title}: {question}" if question else title]
        lines += [line for name in names for line in _lines(known[name], width, planned)]
    return [*(_wrapped(" ".join(LEGEND), "") if sys.stdout.isatty() else LEGEND), *lines]


def _by_axis(axes: Sequence[Dimension], known: Mapping[str, Entry]) -> Iterator[tuple[str, str, list[str]]]:
    """Each axis's title and question with its evaluators, those that score it first; each evaluator at its first axis."""
    left = dict.fromkeys(known)
    for axis in axes:
        names = [name for name in dict.fromkeys([*(anchor.evaluator for anchor in axis.anchors), *axis.related]) if name in left]
        for name in names:
            del left[name]
        if names:
            yield axis.title, axis.question, names
    if left:
        yield _NO_AXIS, "", list(left)


def _planned(known: Mapping[str, Entry]) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """The smallest protocol that runs each evaluator, and its settings there."""
    planned: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name in protocol_names():
        for step in read_protocol(name, known).steps:
            planned.setdefault(step.evaluator, (name, step.settings))
    return planned


def _lines(entry: Entry, width: int, planned: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[str]:
    protocol, settings = planned.get(entry.name, ("–", {}))
    cost = recorded().get(entry.name)
    seconds = None if cost is None else expected_seconds(cost, settings, REFERENCE)
    took = "–" if seconds is None else formatting.rough_duration(seconds).removeprefix("about ") if seconds >= 7.5 else f"{max(1, round(seconds))} s"
    head = f"  {entry.name:<{width}}  {took:>9}  {protocol:<8}  "
    summary = entry.summary or entry.origin
    if entry.summary and entry.origin != BUILT_IN:
        summary += f" ({entry.origin})"
    return _wrapped(summary, head) if sys.stdout.isatty() else [f"{head}{summary}"]


def _wrapped(text: str, head: str) -> list[str]:
    """Text behind a head, on as many lines as a terminal needs."""
    columns = max(shutil.get_terminal_size().columns, len(head) + 30)
    return textwrap.wrap(text, columns, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]
