"""Steps by where their code comes from: the package's own, and each foreign file or package, whose code is imported in a process of its own."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.execution.plan import Step
from efficient360.plugins.registry import BUILT_IN, Entry


@final
@dataclass(frozen=True)
class Group:
    """Steps that share a process: the package's own, or those of one foreign file or package.

    Args:
        origin: Where they come from.
        steps: In the plan's order.
    """

    origin: str
    steps: tuple[Step, ...]

    @property
    def foreign(self) -> bool:
        """Whether their code is none of the package's own."""
        return self.origin != BUILT_IN


def groups_of(steps: Sequence[Step], known: Mapping[str, Entry], given: Mapping[str, object] | None = None) -> list[Group]:
    """The steps by where their code comes from: the package's own first, so that nothing foreign has run in their process.

    Args:
        steps: Of a plan.
        known: All evaluators by name.
        given: Evaluators handed over in memory, by name.
    """
    by_origin: dict[str, list[Step]] = {}
    for step in steps:
        handed_over = step.evaluator in (given or {})
        entry = known.get(step.evaluator)
        origin = "memory" if handed_over else BUILT_IN if entry is None else entry.origin  # an unknown name is refused where it is looked up
        by_origin.setdefault(origin, []).append(step)
    return [Group(origin, tuple(by_origin[origin])) for origin in sorted(by_origin, key=lambda origin: origin != BUILT_IN)]


def unkeyed(name: str) -> str:
    """Key of the failure of an evaluator that never came to have one."""
    return f"{name}-unprepared"


def source_digest(group: Group) -> str:
    """Changes with the source of a group's code: its file's content, or its package's name."""
    path = Path(group.origin)
    source = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(group.origin.encode() + b"\0" + source).hexdigest()[:24]
