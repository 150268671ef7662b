"""Measured latency: the checkpoint converted for each runtime, its artefacts checked against it, and timed in turns on a device."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, final

import numpy as np
from pydantic import AfterValidator, Field

from efficient360.core.settings import AtLeast1, Count, EachOnce
from efficient360.deployment.artefact import DeployedModel
from efficient360.deployment.devices import latency_metrics
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceDescription, Job, Schedule
from efficient360.deployment.devices.latency_metrics import figures
from efficient360.deployment.devices.timing import ArtefactResult, energy, result_of
from efficient360.deployment.runtimes import calibration_images, catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.calibration_images import CalibrationChoice
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.evaluator import Context, Evaluator, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel, Unsupported


def _with_single_images(batches: tuple[int, ...]) -> tuple[int, ...]:
    if 1 not in batches:
        raise ValueError("name 1 among them")
    return batches


@final
@dataclass(frozen=True)
class Latency(Evaluator):
    """Median latency, tail, cold start, throughput, memory and energy of the checkpoint in real runtimes on a device.

    Args:
        runtimes: ``runtime[:precision]`` each; ``installed`` stands for every installed runtime in fp32; a ``?`` at the end leaves out what is not installed.
        device: ``local``, ``limited:…``, ``ssh://…`` or ``adb://…``.
        threads: Threads of a runtime; 0 takes every core of the device.
        batches: Images in a call; 1 is the latency, larger ones are measured for throughput.
        runs: Timed runs at least.
        seconds: Timed seconds at least.
    """

    name: ClassVar[str] = "latency"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = (
        latency_metrics.BEST,
        latency_metrics.P50,
        latency_metrics.P90,
        latency_metrics.P99,
        latency_metrics.THROUGHPUT,
        latency_metrics.BEST_THROUGHPUT,
        latency_metrics.COLD_START,
        latency_metrics.RUNTIME_MEMORY,
        latency_metrics.ARTEFACT_BYTES,
        latency_metrics.LOGIT_DIFFERENCE,
        latency_metrics.AGREEMENT,
        latency_metrics.ENERGY,
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINING_SPLIT})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "runtimes": ("best_latency", "best_throughput"),
        "device": (),
        "batches": ("best_throughput",),
        "runs": (),
        "seconds": (),
        "machine": (
            "best_latency",
            "latency_p50",
            "latency_p90",
            "latency_p99",
            "throughput",
            "best_throughput",
            "cold_start",
            "runtime_memory",
            "energy_per_image",
        ),
    }
    runtimes: tuple[str, ...] = ("installed",)
    device: str = "local"
    threads: Count = 0
    batches: Annotated[tuple[AtLeast1, ...], EachOnce, AfterValidator(_with_single_images)] = (1,)
    runs: Annotated[int, Field(ge=3)] = 60
    seconds: Annotated[float, Field(ge=0)] = 2.0

    def __post_init__(self) -> None:
        catalogue.wanted(self.runtimes)
        device_from_address(self.device)

    def cache_dependencies(self) -> Mapping[str, Any]:
        """Versions of the runtimes that will be measured."""
        return {name: catalogue.versions(catalogue.runtime(name)) for name, _ in catalogue.wanted(self.runtimes)}

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Convert, check, time; one Failure for each runtime that can't be measured.

        Raises:
            Unsupported: The model is neither a network in torch nor an artefact.
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel | DeployedModel):
            raise Unsupported("not-torch", f"{type(model).__name__} is no network that could be converted", "evaluate a checkpoint")
        calibrated = any(precision.calibrated for _, precision in catalogue.wanted(self.runtimes))
        calibration = calibration_images.choose(context, calibrated and isinstance(model, TorchModel))
        yield from calibration.declared(self._measured(model, context, calibration))

    def _measured(self, model: TorchModel | DeployedModel, context: Context, calibration: CalibrationChoice) -> Iterator[Outcome]:
        place = device_from_address(self.device)
        probes = calibration_images.probes(context.examples, model.input_size, context.seed)
        path = context.scratch / "probes.npy"
        np.save(path, probes)
        reference = calibration_images.logits_of(model, probes)
        built = list(self._built(model, context, calibration))
        cells: list[ArtefactResult] = []
        for batch in self.batches:
            context.deadline.check()
            jobs = [Job(artefact, self.threads) for artefact in built if isinstance(artefact, Artefact) and artefact.batch == batch]
            measured = place.measure(jobs, path, Schedule(runs=self.runs, seconds=self.seconds), context.progress) if jobs else ()
            cells += [_checked(result_of(job.artefact, outcome, reference), model) for job, outcome in measured]
        yield self._best(cells, place.describe())
        yield from self._most(cells)
        for cell in cells:
            yield from latency_metrics.outcomes(cell, self.device)
        if not any(cell.reading is not None and energy(cell.reading) for cell in cells):
            yield latency_metrics.no_energy(self.device)
        yield from (failed for failed in built if isinstance(failed, Failure))

    def _built(self, model: TorchModel | DeployedModel, context: Context, calibration: CalibrationChoice) -> Iterator[Artefact | Failure]:
        if isinstance(model, DeployedModel):
            yield model.artefact
            return
        targets = catalogue.wanted(self.runtimes)
        identity = calibration_images.program_identity(context.checkpoint, calibration_images.kept_outputs(model))
        source = ModelSource(identity, model.module, model.input_size, calibration.images, context.artefacts or context.scratch)
        total = len(targets) * len(self.batches)
        for index, (batch, (name, precision)) in enumerate((b, t) for b in self.batches for t in targets):
            context.deadline.check()
            context.progress(index, total)
            outcome = build(source, name, precision, batch)
            if isinstance(outcome, Failure):
                metric = latency_metrics.P50 if batch == 1 else latency_metrics.THROUGHPUT
                outcome = replace(outcome, metric=metric, conditions=latency_metrics.conditions(name, precision, self.device, batch))
            yield outcome

    def _most(self, cells: list[ArtefactResult]) -> Iterator[Outcome]:
        ranked = sorted((c.artefact.batch / c.timing.p50, i) for i, c in enumerate(cells) if c.rankable and c.timing is not None)
        if ranked:
            value, index = ranked[-1]
            throughput = next(
                o for o in latency_metrics.outcomes(cells[index], self.device) if isinstance(o, Measurement) and o.metric == latency_metrics.THROUGHPUT
            )
            yield replace(throughput, metric=latency_metrics.BEST_THROUGHPUT, value=value)

    def _best(self, cells: list[ArtefactResult], facts: DeviceDescription) -> Outcome:
        ranked = [(cell, cell.timing) for cell in cells if cell.artefact.batch == 1 and cell.rankable and cell.timing is not None]
        if not ranked:
            reason = "no runtime could be measured with answers that are known to agree with the checkpoint's"
            excluded = dict.fromkeys(f"{cell.artefact.label}: {cell.exclusion_reason}" for cell in cells if cell.artefact.batch == 1)
            hint = "; ".join(excluded) or "see the reason of each runtime"
            return Failure(Status.FAILED, "no-latency", reason, hint, latency_metrics.BEST)
        best, timing = min(ranked, key=lambda pair: pair[1].p50)
        artefact = best.artefact
        where = latency_metrics.conditions(artefact.runtime, artefact.precision, self.device, 1)
        return Measurement(latency_metrics.BEST, timing.p50, len(timing.samples), timing.interval, where, extra=figures(cells, facts))


def _checked(cell: ArtefactResult, model: TorchModel | DeployedModel) -> ArtefactResult:
    """An artefact that is evaluated in a checkpoint's place must have agreed with the checkpoint, not only with itself on the device."""
    original = model.parity if isinstance(model, DeployedModel) else None
    return cell if cell.parity is None or original is None or original.passed else replace(cell, parity=original)
