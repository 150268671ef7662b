"""The whole of it: a checkpoint and goals in, a searched folder with the file to ship out."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from efficient360.codesign.budget import Budget
from efficient360.codesign.finish import find
from efficient360.codesign.goal import Goal
from efficient360.codesign.goals import merge_goals
from efficient360.codesign.page import Subject, render
from efficient360.codesign.problem import Confirmed
from efficient360.codesign.result import SearchResult
from efficient360.codesign.result_json import to_json
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.trial import Trial
from efficient360.codesign.trial_log import TrialLog
from efficient360.codesign.vision.delivery import Delivery
from efficient360.codesign.vision.knobs import space_of, targets
from efficient360.codesign.vision.metrics import COSTS, PACKAGE_BYTES, QUALITIES, TOP1_DROP
from efficient360.codesign.vision.original import Original, open_original
from efficient360.codesign.vision.problem import ImageProblem
from efficient360.core.formatting import counted, duration
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.execution.session import InMemory
from efficient360.methods.distillation.recovery import Recovery
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.storage.outcomes import Store, write_atomically
from efficient360.storage.writing import into

TRIALS: Final = "trials.jsonl"
RESULT: Final = "result.json"
PAGE: Final = "index.html"
DEFAULT_DROP: Final = 0.01
"""Top-1 accuracy that may be lost where no goal names accuracy: without one, the search would ruin it."""


@final
@dataclasses.dataclass(frozen=True)
class Order:
    """What is wanted.

    Args:
        checkpoint: What to start from.
        dataset: Where its images are.
        goals: What must be met.
        device: Address of where it will run.
        out: The search's folder; the same order again goes on in it.
        budget: What the search may use.
        runtimes: ``runtime`` or ``runtime:precision``; empty takes the usual ones.
        threads: Threads for a runtime; 0 searches one and as many as the device has cores.
        recovery: How cut networks are trained; ``None`` trains none.
        kept: Knobs that are not to be turned.
        seed: Of everything.
        sampler: Who proposes candidates.
        command: What was typed.
    """

    checkpoint: CheckpointSpec
    dataset: DatasetSpec
    goals: tuple[Goal, ...]
    device: str
    out: Path
    budget: Budget
    runtimes: tuple[str, ...] = ()
    threads: int = 0
    recovery: Recovery | None = None
    kept: tuple[str, ...] = ()
    seed: int = 0
    sampler: Sampler = Sampler.MODEL
    command: str = ""


@final
@dataclasses.dataclass(frozen=True)
class Optimized:
    """What came of an order.

    Args:
        result: Every trial, the front, what was confirmed.
        folders: What was handed over, the best first: one folder ``model/`` where the goals are met, else the nearest misses.
        page: The Pareto page.
        notes: What a reader should know: checkpoint, sizes of the parts, device, recovery training.
        name: Of the checkpoint.
    """

    result: SearchResult
    folders: tuple[Path, ...]
    page: Path
    notes: Mapping[str, Any]
    name: str

    @property
    def met(self) -> bool:
        """Whether what was handed over meets every goal."""
        return self.result.winner is not None


@final
@dataclasses.dataclass(frozen=True)
class Watching:
    """Who is told what.

    Args:
        on_step: In words, what is being done.
        on_start: The problem, before its first trial.
        on_trial: Each trial that ended.
        on_confirmed: Each candidate that was measured once more.
    """

    on_step: Callable[[str], None] = lambda step: None
    on_start: Callable[[ImageProblem, Sequence[Goal]], None] = lambda problem, goals: None
    on_trial: Callable[[Trial], None] = lambda trial: None
    on_confirmed: Callable[[Confirmed], None] = lambda confirmed: None


def optimize(order: Order, watching: Watching | None = None, given: InMemory | None = None) -> Optimized:
    """Search, confirm, hand over. After a kill the same order goes on: same trials, same winner.

    Args:
        order: What is wanted.
        watching: Who is told of the progress.
        given: What a program hands over in place of checkpoint or data.

    Raises:
        Efficient360Error: Bad input, or a device that is gone; the trials are kept.
    """
    watching = watching or Watching()
    goals = completed_goals(order.goals)
    searched = {goal.metric.name for goal in goals}
    budget = order.budget if searched != {TOP1_DROP.name} else dataclasses.replace(order.budget, keep_going=True)
    device = device_from_address(order.device)
    store = Store(order.out)
    with store.writer():
        watching.on_step(f"looking at {device.name}")
        description = device.describe()
        found, absent = targets(order.runtimes, description)
        original = open_original(order.checkpoint, order.dataset, order.out, order.seed, given, watching.on_step)
        space = space_of(found, original.model, threads_of(order.threads, description), PACKAGE_BYTES.name in searched, order.kept)
        space = dataclasses.replace(space, refused={**space.refused, **{f"runtime {name}": why for name, why in absent.items()}})
        problem = ImageProblem(original, space, device, description, store.folder / "work", order.recovery, watching.on_step)
        watching.on_start(problem, goals)
        result = find(
            problem, goals, budget, TrialLog(order.out / TRIALS), order.seed, order.sampler, on_trial=watching.on_trial, on_confirmed=watching.on_confirmed
        )
        folders = tuple(Delivery(original, problem.making, order.out).write(result))
        told = notes(original, description, order)
        done = Optimized(result, folders, order.out / PAGE, told, original.checkpoint.name)
        with into(order.out):
            write_atomically(order.out / RESULT, json.dumps(to_json(result), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
            write_atomically(done.page, render(result, subject(done, order)).encode("utf-8", "replace"))
        return done


def completed_goals(goals: Sequence[Goal]) -> tuple[Goal, ...]:
    """The goals, with one on accuracy where none names it."""
    named = {goal.metric.name for goal in goals}
    missing = () if named & {metric.name for metric in QUALITIES} else (Goal(TOP1_DROP, DEFAULT_DROP),)
    return merge_goals([*goals, *missing])


def threads_of(asked: int, device: DeviceDescription) -> tuple[int, ...]:
    """Numbers of threads to try, the most first."""
    return (asked,) if asked else tuple(dict.fromkeys((max(1, device.cores), 1)))


def subject(done: Optimized, order: Order) -> Subject:
    """What the page says of the search besides its result."""
    device, data, recovery = done.notes["device"], done.notes["data"], done.notes["recovery"]
    extensions = ", ".join(device["isa"]) or "no vector extension known"
    where = f"device: {device['name']}, {device['emulated'] or device['cpu']}, {counted(device['cores'], 'core')} ({extensions})"
    parts = data["in_words"]
    trained = f"recovery training: {duration(60 * recovery['minutes'])} each" if recovery is not None else f"no recovery training: {done.notes['no_recovery']}"
    files = tuple((f"{folder.relative_to(order.out)}", f"{folder.relative_to(order.out)}/card.json") for folder in done.folders)
    return Subject(done.name, (f"data: {data['name']}, {data['split']}", parts, where, trained), order.command, files)


def notes(original: Original, device: DeviceDescription, order: Order) -> dict[str, Any]:
    """What a reader should know beside the result, plain JSON."""
    recovery = order.recovery
    untrained = original.parts.no_training if recovery is not None else "not asked for (--recover)"
    return {
        "checkpoint": {"name": original.checkpoint.name, "architecture": original.checkpoint.architecture, "digest": original.checkpoint.digest},
        "data": {"name": original.data, "split": original.split, **original.parts.describe(), "in_words": original.parts.sentence()},
        "device": dataclasses.asdict(device) | {"isa": list(device.isa), "runtimes": dict(device.runtimes)},
        "recovery": None if untrained or recovery is None else dataclasses.asdict(recovery),
        "no_recovery": untrained,
        "metrics": [metric.name for metric in (*COSTS, *QUALITIES)],
    }
