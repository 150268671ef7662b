"""The co-design of a program: variants made, checked against their own network, measured on the device, judged in pairs with the original."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from efficient360.codesign.problem import Baseline, Confirmation, Confirmed, Effort, Measured, Problem
from efficient360.codesign.programs.changes import Change
from efficient360.codesign.programs.metrics import COSTS, LOOP_COSTS, P50, P90, QUALITIES, TOKEN, difference, qualities
from efficient360.codesign.programs.program import Answers, Program, Run
from efficient360.codesign.programs.running import running, with_loop, write_calls
from efficient360.codesign.space import Candidate, Knob, Space
from efficient360.codesign.vision.on_device import LONG, SHORT, measure, speedup
from efficient360.core import canonical
from efficient360.core.arrays import Floats
from efficient360.core.measurement import Failure, Measurement, Metric, Scalar, Status
from efficient360.deployment.devices.device import Device, DeviceReading, Job
from efficient360.deployment.devices.latency_metrics import ARTEFACT_BYTES, COLD_START, RUNTIME_MEMORY
from efficient360.deployment.devices.timing import analyse
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.deployment.runtimes.runtime_code import conversion_code
from efficient360.deployment.runtimes.signature import NO_IMAGES, Call, stacked
from efficient360.errors import SettingsError, Unsupported

Judge = Callable[[Run, Sequence[Any]], Sequence[float]]
"""Quality of a program on each of some examples, in [0, 1], by asking it; examples are whatever the judge understands."""
QUICK: Final = 0.25
"""Share of the selection part that a quick look takes."""
FEWEST: Final = 8
"""Examples that a quick look takes at least."""


@final
@dataclass(frozen=True)
class Examples:
    """What a program is asked, in parts that share nothing.

    Args:
        calibration: Calls for the precisions that are calibrated; of a program with a loop, prompts.
        selection: What candidates are judged on during the search.
        final: What the end is judged on; nobody else sees it.
        probes: A few calls of one shape that artefacts are checked and timed with.
    """

    calibration: Sequence[Call]
    selection: Sequence[Any]
    final: Sequence[Any]
    probes: Sequence[Call]


@final
class ProgramProblem(Problem):
    """Runtime, precision, threads, and what else may be changed of one program.

    Args:
        program: The original.
        judge: Its quality.
        judged_by: A name of the judge and of its version: trials of another are never taken up.
        examples: What it is asked.
        device: Where it is to run.
        targets: Runtimes with their precisions (``litert:int8``), as :func:`efficient360.deployment.runtimes.catalogue.targets` takes them.
        folder: Where programs and artefacts are kept.
        changes: What may be changed of the network.
        threads: Threads that may be given to the runtime.
        seed: Of resamples.

    Raises:
        SettingsError: Bad calls, parts that are empty, no such runtime.
    """

    def __init__(
        self,
        program: Program,
        judge: Judge,
        judged_by: str,
        examples: Examples,
        device: Device,
        targets: Sequence[str],
        folder: Path,
        changes: Sequence[Change] = (),
        threads: Sequence[int] = (1,),
        seed: int = 0,
    ) -> None:
        self._program, self._judge, self._examples, self._device, self._folder, self._seed = program, judge, examples, device, folder, seed
        self._changes = {change.knob.name: change for change in changes}
        self._targets = _supported(catalogue.targets(targets))
        self._space = Space(_knobs(self._targets, changes, threads), (self._refusal,))
        _require(program, examples)
        self._identity = canonical.digest(
            [program.identity, judged_by, _plain(examples), device.name, seed, [list(map(str, target)) for target in self._targets], *_code(self._targets)],
            "the problem",
        )
        self._calibration: Mapping[str, Any] | None = None
        self._references: dict[str, Answers] = {}
        self._artefacts: dict[str, Artefact] = {}
        self._values: dict[tuple[str, str], Floats] = {}
        self._spent: dict[str, float] = {}

    @property
    def space(self) -> Space:
        return self._space

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def cost_metrics(self) -> Sequence[Metric]:
        return COSTS if self._program.loop is None else LOOP_COSTS

    @property
    def quality_metrics(self) -> Sequence[Metric]:
        return QUALITIES

    def seconds(self, candidate: Candidate) -> Mapping[str, float]:
        return dict(self._spent)

    def cost(self, candidate: Candidate) -> Measured | Failure:
        self._spent = {}
        with self._timed("make"):
            artefact = self.artefact(candidate)
        if isinstance(artefact, Failure):
            return artefact
        with self._timed("check"):
            reference = self._reference(candidate)
        with self._timed("measure"):
            ((_, reading),) = measure(self._device, [self._job(candidate, artefact)], self._probes(), SHORT)
        return self._told(reading, artefact, reference)

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        self._spent = {}
        selection = self._examples.selection
        n = len(selection) if effort is Effort.FULL else min(len(selection), max(FEWEST, round(QUICK * len(selection))))
        with self._timed("judge"):
            return self._judged(candidate, "selection", selection[:n])

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        baselines = self._baselines()
        made = [(candidate, self.artefact(candidate)) for candidate in [*(b for _, b in baselines), *candidates]]
        jobs = [self._job(candidate, artefact) for candidate, artefact in made if isinstance(artefact, Artefact)]
        readings = iter(measure(self._device, jobs, self._probes(), LONG) if jobs else [])
        read = [next(readings)[1] if isinstance(artefact, Artefact) else artefact for _, artefact in made]
        told = [self._confirmed(candidate, artefact, reading) for (candidate, artefact), reading in zip(made, read, strict=True)]
        names = [name for name, _ in baselines]
        return Confirmation(
            tuple(
                Confirmed(c, *_split(told[i]), self._facts(c, made[i][1]), _speedups(read[i], dict(zip(names, read, strict=False))))
                for i, c in enumerate(candidates, start=len(baselines))
            ),
            tuple(Baseline(name, *_split(told[i])) for i, name in enumerate(names)),
        )

    def artefact(self, candidate: Candidate) -> Artefact | Failure:
        """The artefact of a candidate; its calls are whole answers where the program has a loop."""
        runtime, precision = str(candidate["runtime"]), Precision(str(candidate["precision"]))
        key = canonical.digest([self._changed(candidate), runtime, precision.value], "the artefact")
        if key not in self._artefacts:
            try:
                source = self._source(candidate, precision)
            except Unsupported as error:
                return Failure.of(Status.UNSUPPORTED, error)
            made = build(source, runtime, precision)
            if isinstance(made, Failure):
                return made
            self._artefacts[key] = made
        return with_loop(self._artefacts[key], self._program.loop, 1 if self._program.loop is None else self._program.loop.steps)

    @property
    def probe(self) -> Call:
        """One call, of those that artefacts are checked and timed with."""
        return self._examples.probes[0]

    def original(self, call: Call) -> Answers:
        """What the original answers in PyTorch."""
        return self._program.run(reading=False)([call])

    def variant(self, candidate: Candidate) -> Program:
        """The network that a candidate means, in PyTorch.

        Raises:
            Unsupported: A change can't be made.
        """
        module = self._program.module
        for name, setting in self._changed(candidate).items():
            module = self._changes[name].apply(module, setting)
        return self._program.with_module(module)

    def _changed(self, candidate: Candidate) -> dict[str, Scalar]:
        return {knob.name: value for knob, value in self._space.changes(candidate) if knob.name in self._changes}

    def _source(self, candidate: Candidate, precision: Precision) -> ModelSource:
        if precision.calibrated and self._calibration is None:
            self._calibration = stacked(self._program.step_calls(self._examples.calibration, every=4))
        changed = self._changed(candidate)
        identity = canonical.digest([self._program.identity, changed], "the program") if changed else self._program.identity
        variant = self.variant(candidate)
        return ModelSource(identity, variant.module, NO_IMAGES, self._calibration, self._folder, signature=variant.signature)

    def _job(self, candidate: Candidate, artefact: Artefact) -> Job:
        return Job(artefact, int(candidate["threads"]))

    def _probes(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"probes-{self._identity[:12]}.npz"
        if not path.is_file():
            write_calls(path, self._examples.probes)
        return path

    def _reference(self, candidate: Candidate) -> Answers:
        key = canonical.digest(self._changed(candidate), "the changes")
        if key not in self._references:
            self._references[key] = self.variant(candidate).run(reading=False)(self._examples.probes)
        return self._references[key]

    def _told(self, reading: DeviceReading | Failure, artefact: Artefact, reference: Answers) -> Measured | Failure:
        if isinstance(reading, Failure):
            return reading
        if reading.answers is None:
            return Failure(Status.UNSUPPORTED, "no-answers", f"{self._device.name} hands no answers back to be checked", "take a device that runs Python")
        if reason := difference(reference, reading.answers, artefact.precision):
            return Failure(Status.FAILED, "parity", f"the artefact does not answer as its network does: {reason}", "its time is left out")
        timing, tokens = analyse(reading), self._program.tokens(self._examples.probes[0])
        told = [Measurement(P50, timing.p50, len(timing.samples), timing.interval), Measurement(ARTEFACT_BYTES, artefact.bytes)]
        if reading.memory:
            told.append(Measurement(RUNTIME_MEMORY, reading.memory, len(reading.memories) or 1))
        if reading.cold:
            told.append(Measurement(COLD_START, float(np.median([cold.load + cold.first for cold in reading.cold])), len(reading.cold)))
        if timing.p90 is not None:
            told.append(Measurement(P90, timing.p90, timing.runs, timing.p90_interval))
        if self._program.loop is not None:
            told.append(
                Measurement(
                    TOKEN,
                    timing.p50 / tokens,
                    len(timing.samples),
                    replace(timing.interval, low=timing.interval.low / tokens, high=timing.interval.high / tokens),
                )
            )
        return {measurement.metric.name: measurement for measurement in told}

    def _judged(self, candidate: Candidate, part: str, examples: Sequence[Any]) -> Measured | Failure:
        artefact = self.artefact(candidate)
        if isinstance(artefact, Failure):
            return artefact
        original = self._known("original", part, examples, lambda: self._program.run(reading=True))
        key = canonical.digest([self._changed(candidate), candidate["runtime"], candidate["precision"]], "the artefact")
        try:
            with running(with_loop(artefact, self._program.loop, 1), self._examples.probes[0], int(candidate["threads"])) as run:
                values = self._known(key, part, examples, lambda: run)
        except WorkerFailed as error:
            return Failure.of(Status.FAILED, error)
        return qualities(original, values, self._seed)

    def _known(self, key: str, part: str, examples: Sequence[Any], run: Callable[[], Run]) -> Floats:
        """Values of the first examples of a part, those judged before taken as they were."""
        before = self._values.get((key, part), np.zeros(0))
        if len(before) < len(examples):
            more = np.asarray(self._judge(run(), examples[len(before) :]), np.float64)
            self._values[key, part] = before = np.concatenate([before, more])
        return before[: len(examples)]

    def _confirmed(self, candidate: Candidate, artefact: Artefact | Failure, reading: DeviceReading | Failure) -> Measured | Failure:
        if isinstance(artefact, Failure):
            return artefact
        cost = self._told(reading, artefact, self._reference(candidate))
        quality = cost if isinstance(cost, Failure) else self._judged(candidate, "final", self._examples.final)
        return quality if isinstance(quality, Failure) or isinstance(cost, Failure) else {**cost, **quality}

    def _baselines(self) -> list[tuple[str, Candidate]]:
        """The original in fp32 in LiteRT where it is among the runtimes, and in the others."""
        runtimes = list(dict.fromkeys(name for name, precision in self._targets if precision is Precision.FP32))
        ordered = sorted(runtimes, key=lambda name: name != "litert")
        original = dict(self._space.original.settings)
        return [(f"{catalogue.runtime(name).title} fp32", Candidate({**original, "runtime": name, "precision": Precision.FP32.value})) for name in ordered]

    def _facts(self, candidate: Candidate, artefact: Artefact | Failure) -> dict[str, Any]:
        if isinstance(artefact, Failure):
            return {}
        return {"artefact": str(artefact.folder), "digest": artefact.digest, "threads": candidate["threads"], "device": self._device.name}

    def _refusal(self, candidate: Candidate) -> str:
        """Why runtime and precision don't go together."""
        pair = str(candidate["runtime"]), Precision(str(candidate["precision"]))
        return "" if pair in self._targets else f"{catalogue.runtime(pair[0]).title} is not asked for in {pair[1]}"

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[kind] = self._spent.get(kind, 0.0) + time.monotonic() - began


def _plain(value: Any) -> Any:
    """Examples as plain data."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, Examples):
        return [_plain(part) for part in (value.calibration, value.selection, value.final, value.probes)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _code(targets: Sequence[tuple[str, Precision]]) -> list[str]:
    return [conversion_code(name).digest for name in dict.fromkeys(name for name, _ in targets)]


def _supported(targets: Sequence[tuple[str, Precision]]) -> list[tuple[str, Precision]]:
    refused = [name for name, _ in targets if not catalogue.runtime(name).any_program]
    if refused or not targets:
        message = f"{catalogue.runtime(refused[0]).title} is only given image classifiers here" if refused else "no runtime is given"
        raise SettingsError("no-other-inputs", message, f"take some of {', '.join(catalogue.for_any_program())}")
    return list(targets)


def _knobs(targets: Sequence[tuple[str, Precision]], changes: Sequence[Change], threads: Sequence[int]) -> tuple[Knob, ...]:
    precisions = sorted({precision for _, precision in targets}, key=list(Precision).index)
    return (
        Knob("runtime", "Runtime", tuple(dict.fromkeys(name for name, _ in targets))),
        Knob("precision", "Precision", tuple(precision.value for precision in precisions)),
        Knob("threads", "Threads", tuple(threads), ordered=True),
        *(change.knob for change in changes),
    )


def _require(program: Program, examples: Examples) -> None:
    if not examples.selection or not examples.final or not examples.probes:
        raise SettingsError("no-examples", "selection, final and probes need examples", "give some of each")
    try:
        for call in [*examples.calibration, *examples.probes]:
            program.require(call)
    except ValueError as error:
        raise SettingsError("bad-call", f"{program.name} can't be called so: {error}", "give each input with its name, shape and type") from error


def _split(told: Measured | Failure) -> tuple[Measured, Failure | None]:
    return ({}, told) if isinstance(told, Failure) else (told, None)


def _speedups(reading: DeviceReading | Failure, baselines: Mapping[str, DeviceReading | Failure]) -> Measured:
    if isinstance(reading, Failure):
        return {}
    ratios = {name: speedup(reading, other, {"baseline": name}) for name, other in baselines.items() if isinstance(other, DeviceReading)}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}
