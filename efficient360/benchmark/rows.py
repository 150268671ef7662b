"""The rows of a matrix, known before any network is built for good: what they depend on, and how to open them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from efficient360.benchmark import peak
from efficient360.benchmark.plan import MatrixPlan, What
from efficient360.benchmark.subject import Subject, identity_of, open_subject
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.models.references import resolve


@final
@dataclass(frozen=True)
class Row:
    """A model that is still to be opened.

    Args:
        name: What its row is called.
        identity: As in :class:`efficient360.benchmark.cells.ModelFacts`.
        size: ``(3, H, W)``.
        targets: What it is to run in.
        folder: Where its programs and artefacts are kept.
        open: Builds it.
    """

    name: str
    identity: str
    size: tuple[int, int, int]
    targets: Sequence[What]
    folder: Path
    open: Callable[[], Subject]


def rows(plan: MatrixPlan, artefacts: Path) -> list[Row]:
    """The yardstick first, then the models.

    Args:
        plan: What is asked for.
        artefacts: Folder for all programs and artefacts.

    Raises:
        CheckpointError: A model is not there or can't be built.
    """
    there = catalogue.installed()
    fast = [name for name in peak.RUNTIMES if name in there] or there[:1]
    yardstick = peak.facts(plan.seed)
    folder = artefacts / _folder(yardstick.name, yardstick.identity)
    found = [Row(yardstick.name, yardstick.identity, yardstick.size, [(n, Precision.FP32) for n in fast], folder, partial(peak.open_peak, plan.seed, folder))]
    for entry in plan.models:
        checkpoint = resolve(entry.spec)
        identity = identity_of(checkpoint, plan.seed)
        folder = artefacts / _folder(entry.name, identity)
        opened = partial(open_subject, entry, checkpoint, plan.seed, folder)
        found.append(Row(entry.name, identity, checkpoint.preprocessing.input_size, plan.targets, folder, opened))
    return found


def _folder(name: str, identity: str) -> str:
    return f"{slug(name)}-{identity[:8]}"


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name).strip("._") or "model"
