"""The worker: a process that loads one artefact and answers requests, one JSON object a line, until its input ends.

Whatever the runtime prints goes to standard error; standard output carries the answers alone.
"""

import gc
import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import calls, counters, machine
from .energy import EnergyMeter
from .loop import looped

Request = dict[str, Any]
STEADY = 0.05  # two windows in a row whose medians differ by less are steady
LONGEST_WARM_UP = 20.0


class Worker:
    """One artefact, loaded once."""

    def __init__(self) -> None:
        self.run: Callable[[Any], Any]
        self.question: Any = None
        self.batch = 1
        self.meter: EnergyMeter | None = None

    def load(self, request: Request) -> Request:
        """Import the runtime, load the artefact, answer once: the cold start, each part apart, in seconds."""
        session = _session(request["session"])
        before = counters.peak_memory()
        began = time.perf_counter()
        for module in session.MODULES:
            importlib.import_module(module)
        imported, with_runtime = time.perf_counter(), counters.peak_memory()
        self.run = looped(session.load(request["folder"], request["settings"]), request["settings"])
        loaded = time.perf_counter()
        self.batch = request["batch"]
        self.question = calls.first(np.load(request["images"]), self.batch)
        opened = time.perf_counter()
        self.run(self.question)
        first = time.perf_counter()
        return {
            "import": imported - began,
            "load": loaded - imported,
            "first": first - opened,
            "version": session.version(),
            "memory_before": before,
            "memory_imported": with_runtime,
            "memory": counters.peak_memory(),
        }

    def answer(self, request: Request) -> Request:
        """Logits of all images of a file, the last call filled up with the last image; or what a program with named inputs returns, call by call."""
        images = np.load(request["images"])
        if calls.named(images):
            calls.write(request["logits"], [self.run(call) for call in calls.each(images)])
            return {}
        rows: list[Any] = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            short = self.batch - len(part)
            whole = part if not short else np.concatenate([part, np.repeat(part[-1:], short, 0)])
            rows.append(np.asarray(self.run(np.ascontiguousarray(whole)), np.float32)[: len(part)])
        np.save(request["logits"], np.concatenate(rows))
        return {}

    def warm(self, request: Request) -> Request:
        """Run until two windows in a row agree, at least ``runs`` times and ``seconds`` long; tell how many and whether it got steady."""
        gc.collect()
        gc.disable()
        began, steady = time.perf_counter(), False
        times: list[float] = []
        while not steady and time.perf_counter() - began < LONGEST_WARM_UP:
            start = time.perf_counter()
            self.run(self.question)
            times.append(time.perf_counter() - start)
            window = max(3, len(times) // 3)
            enough = len(times) >= max(request["runs"], 2 * window) and time.perf_counter() - began >= request["seconds"]
            steady = enough and abs(float(np.median(times[-window:]) / np.median(times[-2 * window : -window])) - 1) < STEADY
        return {"runs": len(times), "steady": steady, "seconds": time.perf_counter() - began}

    def block(self, request: Request) -> Request:
        """Run for ``seconds``, at least ``runs`` times: wall and process-CPU seconds of each call, and the counters around them."""
        wall: list[float] = []
        cpu: list[float] = []
        self.run(self.question)  # caches that another block's process has taken over are won back outside the count
        before, began = self._counters(), time.perf_counter()
        while len(wall) < request["runs"] or time.perf_counter() - began < request["seconds"]:
            c, t = time.process_time(), time.perf_counter()
            self.run(self.question)
            wall.append(time.perf_counter() - t)
            cpu.append(time.process_time() - c)
        seconds = time.perf_counter() - began
        return {"wall": wall, "cpu": cpu, "seconds": seconds, "before": before, "after": self._counters(), "memory": counters.peak_memory()}

    def idle(self, request: Request) -> Request:
        """Do nothing for ``seconds``: the counters around it, for what the machine draws and does by itself."""
        before, began = self._counters(), time.perf_counter()
        time.sleep(request["seconds"])
        return {"seconds": time.perf_counter() - began, "before": before, "after": self._counters(), "source": self.meter.source if self.meter else ""}

    def _counters(self) -> "dict[str, float]":
        """Counters now, energy included; the meter is opened by the first call."""
        self.meter = self.meter or EnergyMeter()
        return {**counters.read(), **self.meter.read()}

    def operators(self, request: Request) -> Request:
        """Each operator's seconds in a call, as the runtime's own profiler tells; ``None`` where the session has none."""
        session = _session(request["session"])
        if not hasattr(session, "operators"):
            return {"operators": None}
        question = calls.first(np.load(request["images"]), request["batch"])
        return {"operators": session.operators(request["folder"], request["settings"], question)}

    def describe(self, request: Request) -> Request:
        """The machine and the runtimes found on it."""
        return machine.describe()


def _session(name: str) -> Any:
    """The session of a built-in runtime, or of a plug-in's file beside the kit."""
    if not name.endswith(".py"):
        return importlib.import_module(f".sessions.{name}", __package__)
    spec = importlib.util.spec_from_file_location("plugin_session", name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer requests until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request["do"])(request)
        except Exception as error:  # a runtime may raise anything; the host tells the user
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()
    os._exit(0)  # some runtimes crash in their own clean-up; nothing is left to lose


if __name__ == "__main__":
    main()
