"""How well a network suits fast paths: what they take of it, where its time goes, how near it comes to the peak and to a convolutional network."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from efficient360.core.settings import Count, NotEmpty
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import Schedule
from efficient360.deployment.devices.latency_metrics import conditions
from efficient360.deployment.devices.timing import ArtefactResult
from efficient360.deployment.hardware_fit import metrics, networks
from efficient360.deployment.hardware_fit.delegation import delegation_of
from efficient360.deployment.hardware_fit.measurement import NetworkTimer, ResultsByRole, RuntimeFit
from efficient360.deployment.hardware_fit.metrics import figures
from efficient360.deployment.hardware_fit.networks import Network, NetworkRole
from efficient360.deployment.hardware_fit.npu import estimate
from efficient360.deployment.hardware_fit.operator_times import OperatorProfile, profile
from efficient360.deployment.hardware_fit.speed import PEAK_RUNTIMES, peak_of, peak_runtimes, speed_of
from efficient360.deployment.runtimes import calibration_images, catalogue
from efficient360.deployment.runtimes.calibration_images import CalibrationChoice
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.evaluator import Context, Evaluator, Failure, Measurement, Metric, Model, Need, Outcome, Status, TorchModel, Unsupported
from efficient360.methods.complexity.mac_count import count_macs

TIMEOUT = 300.0
Target = tuple[str, Precision]


@final
@dataclass(frozen=True)
class Acceleration(Evaluator):
    """What fast paths take of the checkpoint, where its time goes, and its speed against the device's peak and a convolutional network of the same MACs.

    Args:
        runtimes: ``runtime[:precision]`` each; a ``?`` at the end leaves out what is not installed.
        device: ``local``, ``limited:…``, ``ssh://…`` or ``adb://…``.
        threads: Threads of a runtime; 0 takes every core of the device.
        runs: Timed runs at least.
        seconds: Timed seconds at least.
    """

    name: ClassVar[str] = "acceleration"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = metrics.ALL
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MACHINE})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINING_SPLIT})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"runtimes": (), "device": (), "runs": (), "seconds": ()}
    runtimes: Annotated[tuple[str, ...], NotEmpty] = ("onnxruntime?", "openvino?", "litert?", "executorch?")
    device: str = "local"
    threads: Count = 0
    runs: Annotated[int, Field(ge=3)] = 30
    seconds: Annotated[float, Field(ge=0)] = 1.0

    def __post_init__(self) -> None:
        catalogue.wanted(self.runtimes)
        device_from_address(self.device)

    def cache_dependencies(self) -> Mapping[str, Any]:
        """Versions of the runtimes that will be measured."""
        return {name: catalogue.versions(catalogue.runtime(name)) for name, _ in self._plan(catalogue.wanted(self.runtimes))}

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Convert, check, time and profile, one runtime after the other; a Failure for each number that a runtime does not give.

        Raises:
            Unsupported: The model is no network in torch, or none of the runtimes is installed.
            OutOfTime: From ``context.deadline``.
        """
        if not isinstance(model, TorchModel):
            hint = "evaluate the checkpoint itself, and name the artefact's runtime and precision among the runtimes"
            raise Unsupported("not-torch", f"{type(model).__name__} is no network whose multiply-adds could be counted", hint)
        targets = catalogue.wanted(self.runtimes)
        if not targets:
            asked = ", ".join(text.removesuffix("?") for text in self.runtimes)
            raise Unsupported("no-runtime", f"none of the runtimes is installed: {asked}", "pip install 'efficient360[runtimes]'")
        probes = calibration_images.probes(context.examples, model.input_size, context.seed)
        calibrated = any(precision.calibrated for _, precision in targets)
        calibration = calibration_images.choose(context, calibrated)
        bench = self._bench(probes, context, calibration)
        own, twin = _networks(model, probes, context)
        yardstick = networks.products(model.input_size, probes)
        plan = self._plan(targets)
        results: list[RuntimeFit] = []
        yardsticks: list[ArtefactResult] = []
        for index, (name, precision) in enumerate(plan):
            context.deadline.check()
            wanted = [own, *([twin] if isinstance(twin, Network) else [])] if (name, precision) in targets else []
            if name in PEAK_RUNTIMES and precision is Precision.FP32:
                wanted.append(yardstick)
            cells = bench.timed(name, precision, wanted, partial(_tell, context, index, len(plan)))
            products = cells.get(NetworkRole.PRODUCTS)
            yardsticks += [products] if isinstance(products, ArtefactResult) else []
            if (name, precision) in targets:
                results.append(_result((name, precision), cells, own, twin, bench))
        outcomes = list(calibration.declared(self._outcomes(results, yardsticks)))
        yield from _illustrated(outcomes, figures(results, peak_of(yardsticks), _facts(own, twin, model)))

    def _plan(self, targets: Sequence[Target]) -> list[Target]:
        """What is timed: the targets, and for the peak the runtimes that are good at it where none of those is a target."""
        if any(name in PEAK_RUNTIMES and precision is Precision.FP32 for name, precision in targets):
            return list(targets)
        return [*targets, *((name, Precision.FP32) for name in peak_runtimes())]

    def _bench(self, probes: NDArray[np.float32], context: Context, calibration: CalibrationChoice) -> NetworkTimer:
        path = context.scratch / "probes.npy"
        np.save(path, probes)
        schedule = Schedule(runs=self.runs, seconds=self.seconds)
        return NetworkTimer(device_from_address(self.device), self.threads, schedule, path, calibration.images, context.artefacts or context.scratch)

    def _outcomes(self, results: Sequence[RuntimeFit], yardsticks: Sequence[ArtefactResult]) -> Iterator[Outcome]:
        peak = peak_of(yardsticks)
        for result in results:
            where = conditions(result.runtime, result.precision, self.device, 1)
            yield from metrics.speed_outcomes(result.own, result.twin, peak, where)
            yield metrics.profile_outcome(result.profile, where)
            yield from metrics.delegation_outcomes(result.delegation, where)
            if result.estimate is not None:
                yield from metrics.estimate_outcomes(result.estimate)
        yield metrics.peak_outcome(peak, {"device": self.device})


def _tell(context: Context, index: int, runtimes: int, done: int, total: int) -> None:
    context.progress(index * total + done, runtimes * total)


def _networks(model: TorchModel, probes: NDArray[np.float32], context: Context) -> tuple[Network, Network | Failure]:
    image = torch.rand((1, *model.input_size), generator=torch.Generator().manual_seed(context.seed)).to(model.device)
    counted = count_macs(model.network, image)
    macs = None if counted.uncounted else counted.products
    own = networks.checkpoint(model, calibration_images.program_identity(context.checkpoint, calibration_images.kept_outputs(model)), macs, probes)
    if macs is None:
        message = "there is no twin: the checkpoint has operators whose multiply-adds are not known"
        return own, Failure(Status.UNSUPPORTED, "uncounted-operators", message, "see macs")
    try:
        return own, networks.twin(model.input_size, macs, model.num_classes, probes)
    except Unsupported as error:
        return own, Failure.of(Status.UNSUPPORTED, error)


def _result(target: Target, cells: ResultsByRole, own: Network, twin: Network | Failure, bench: NetworkTimer) -> RuntimeFit:
    cell = cells[NetworkRole.CHECKPOINT]
    twin_speed = speed_of(cells[NetworkRole.TWIN], twin.macs) if isinstance(twin, Network) else twin
    speed = speed_of(cell, own.macs)
    if isinstance(cell, Failure) or cell.failure is not None:
        why = speed if isinstance(speed, Failure) else Failure(Status.FAILED, "no-artefact", "there is no artefact to look at")
        return RuntimeFit(*target, speed, twin_speed, why, why)
    operator_profile = profile(bench.device, cell.artefact, bench.images, bench.threads, TIMEOUT)
    estimated = estimate(cell.artefact, bench.images, TIMEOUT) if target == ("litert", Precision.FP32) else None
    return RuntimeFit(
        *target,
        speed,
        twin_speed,
        operator_profile,
        delegation_of(cell.artefact, operator_profile.rows if isinstance(operator_profile, OperatorProfile) else ()),
        estimated,
    )


def _facts(own: Network, twin: Network | Failure, model: TorchModel) -> list[tuple[str, str]]:
    if isinstance(twin, Failure) or own.macs is None:
        return []
    return list(networks.twin_facts(model.input_size, own.macs, model.num_classes))


def _illustrated(outcomes: Sequence[Outcome], drawn: tuple[Any, ...]) -> Iterator[Outcome]:
    """The outcomes with all pictures beside the first number."""
    first = next((outcome for outcome in outcomes if isinstance(outcome, Measurement)), None)
    for outcome in outcomes:
        yield replace(outcome, extra=drawn) if isinstance(outcome, Measurement) and outcome is first else outcome
