"""Networks timed side by side in one runtime at a time, and what was measured of a checkpoint in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Device, Job, OnProgress, Schedule
from efficient360.deployment.devices.timing import ArtefactResult, result_of
from efficient360.deployment.hardware_fit.delegation import DelegationSummary
from efficient360.deployment.hardware_fit.networks import Network, NetworkRole
from efficient360.deployment.hardware_fit.npu import Estimate
from efficient360.deployment.hardware_fit.operator_times import OperatorProfile
from efficient360.deployment.hardware_fit.speed import Speed
from efficient360.deployment.runtimes.runtime import Artefact, Precision


@final
@dataclass(frozen=True)
class RuntimeFit:
    """A checkpoint in one runtime; a Failure in the place of whatever there is not.

    Args:
        runtime: Name of the runtime.
        precision: Arithmetic.
        own: The checkpoint's speed.
        twin: That of its convolutional twin.
        profile: Where the time goes.
        delegation: What the fast path takes.
        estimate: What an embedded accelerator's compiler expects; ``None`` where the artefact is not one that it reads.
    """

    runtime: str
    precision: Precision
    own: Speed | Failure
    twin: Speed | Failure
    profile: OperatorProfile | Failure
    delegation: DelegationSummary | Failure
    estimate: Estimate | Failure | None = None

    @property
    def label(self) -> str:
        """``runtime:precision``."""
        return f"{self.runtime}:{self.precision}"


ResultsByRole = Mapping[NetworkRole, ArtefactResult | Failure]


@final
@dataclass(frozen=True)
class NetworkTimer:
    """Where networks are timed.

    Args:
        device: The device.
        threads: Threads of a runtime; 0 takes every core.
        schedule: How often and how long.
        images: ``.npy`` of the probe images float32 ``(n, 3, H, W)``.
        calibration: Images for int8; ``None`` where there are none.
        folder: Where artefacts are kept.
    """

    device: Device
    threads: int
    schedule: Schedule
    images: Path
    calibration: NDArray[np.float32] | None
    folder: Path

    def timed(self, runtime: str, precision: Precision, networks: Sequence[Network], on_progress: OnProgress) -> ResultsByRole:
        """Each network converted for a runtime, checked and timed; or why it is not."""
        built = [(network, network.built(runtime, precision, self.calibration, self.folder)) for network in networks]
        cells: dict[NetworkRole, ArtefactResult | Failure] = {network.role: outcome for network, outcome in built if isinstance(outcome, Failure)}
        ready = [(network, Job(outcome, self.threads)) for network, outcome in built if isinstance(outcome, Artefact)]
        jobs = [job for _, job in ready]
        readings = self.device.measure(jobs, self.images, self.schedule, on_progress) if jobs else ()
        for (network, _), (job, reading) in zip(ready, readings, strict=True):
            cells[network.role] = result_of(job.artefact, reading, network.reference)
        return cells
