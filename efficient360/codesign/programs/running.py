"""Artefacts of programs: built, run by a worker of this machine, handed over as a folder that runs with NumPy and the runtime alone."""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from efficient360.codesign.programs.program import PROMPT, Answers, Loop, Run
from efficient360.deployment.devices.interleaving import IMAGES, load
from efficient360.deployment.devices.local import local_workspace
from efficient360.deployment.devices.worker import KIT
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.deployment.runtimes.signature import Call, stacked
from efficient360.errors import RunError

TIMEOUT: Final = 900.0
RUN: Final = '''"""Runs the program beside this file; it takes NumPy and {title} alone."""

import importlib
import json

import numpy as np
from kit.loop import looped

card = json.load(open("card.json"))
session = importlib.import_module("kit.sessions." + card["runtime"])
run = looped(session.load("files", card["settings"]), card["settings"])
example = np.load("example.npz")
print({{name: values.ravel()[:8] for name, values in run({{name: example[name] for name in example.files}}).items()}})
'''


def with_loop(artefact: Artefact, loop: Loop | None, steps: int) -> Artefact:
    """An artefact whose calls are whole answers of so many tokens; itself where the program has no loop."""
    if loop is None:
        return artefact
    settings = {**artefact.converted.settings, "loop": loop.settings(steps)}
    return dataclasses.replace(artefact, converted=dataclasses.replace(artefact.converted, settings=settings))


@contextmanager
def running(artefact: Artefact, first: Call, threads: int) -> Iterator[Run]:
    """An artefact loaded in a worker of this machine, ended afterwards.

    Args:
        artefact: Of a program.
        first: A call to begin with.
        threads: For the runtime.

    Raises:
        WorkerFailed: It can't be loaded; later, in a call, the runtime raised, crashed or hung.
    """
    with TemporaryDirectory() as spare, local_workspace(threads, {}, None) as workspace:
        write_calls(Path(spare) / "first.npz", [first])
        workspace.put(Path(spare) / "first.npz", IMAGES)
        with closing(workspace.start()) as worker:
            load(workspace, worker, artefact, threads, TIMEOUT)

            def run(calls: Sequence[Call]) -> Answers:
                answers: dict[str, Any] = {}
                for index, part in enumerate(_alike(calls)):
                    write_calls(workspace.folder / "asked.npz", part)
                    worker.ask("answer", TIMEOUT, images="asked.npz", logits="told.npz")
                    with np.load(workspace.folder / "told.npz") as told:
                        for name in told.files:
                            answers[name] = np.concatenate([answers[name], told[name]]) if index else told[name]
                return answers

            yield run


def write_calls(path: Path, calls: Sequence[Call]) -> None:
    """Calls of the same shapes as the ``.npz`` that a worker or a device takes."""
    arrays: dict[str, Any] = stacked(calls)
    np.savez(path, **arrays)


def hand_over(artefact: Artefact, example: Call, threads: int, out: Path, facts: dict[str, Any]) -> Path:
    """Write a folder to ship: ``files/``, the kit that runs them, ``card.json``, an example call, and ``run.py``.

    Args:
        artefact: Of a program, with its loop where it has one.
        example: One call.
        threads: For the runtime.
        out: The folder; it must not hold anything yet.
        facts: What a reader should know, plain JSON; they go into the card.

    Raises:
        RunError: ``folder-not-empty``.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError("folder-not-empty", f"there are files in {out} already", "name another folder, or remove it")
    shutil.copytree(artefact.folder, out / "files")
    shutil.copytree(KIT, out / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    for session in (out / "kit" / "sessions").glob("*.py"):
        if session.stem not in {"__init__", "naming", "preparing", artefact.runtime}:
            session.unlink()
    write_example: dict[str, Any] = dict(example)
    np.savez(out / "example.npz", **write_example)
    signature = None if artefact.signature is None else artefact.signature.to_json()
    card = {
        "runtime": artefact.runtime,
        "precision": artefact.precision.value,
        "digest": artefact.digest,
        "bytes": artefact.bytes,
        "converter": dict(artefact.converter),
        "signature": signature,
        "settings": {**artefact.converted.settings, "threads": threads},
        **facts,
    }
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (out / "run.py").write_text(RUN.format(title=artefact.runtime), encoding="utf-8")
    return out


def _alike(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    """Calls in order, in parts of one length of prompt: arrays of different shapes can't be laid on one another."""
    start = 0
    for index in range(1, len(calls) + 1):
        if index == len(calls) or calls[index][_first(calls[index])].shape != calls[start][_first(calls[start])].shape:
            yield calls[start:index]
            start = index


def _first(call: Call) -> str:
    return PROMPT if PROMPT in call else next(iter(call))
