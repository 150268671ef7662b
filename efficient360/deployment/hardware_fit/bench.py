"""Networks timed beside each other in one runtime at a time, their blocks taking turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.cell import Cell, cell_of
from efficient360.deployment.devices.device import Device, Job, Schedule, Told
from efficient360.deployment.hardware_fit.networks import Network, Role
from efficient360.deployment.runtimes.runtime import Artefact, Precision

Cells = Mapping[Role, Cell | Failure]


@final
@dataclass(frozen=True)
class Bench:
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

    def timed(self, runtime: str, precision: Precision, networks: Sequence[Network], told: Told) -> Cells:
        """Each network converted for a runtime, checked and timed; or why it is not."""
        built = [(network, network.built(runtime, precision, self.calibration, self.folder)) for network in networks]
        cells: dict[Role, Cell | Failure] = {network.role: outcome for network, outcome in built if isinstance(outcome, Failure)}
        ready = [(network, Job(outcome, self.threads)) for network, outcome in built if isinstance(outcome, Artefact)]
        jobs = [job for _, job in ready]
        readings = self.device.measure(jobs, self.images, self.schedule, told) if jobs else ()
        for (network, _), (job, reading) in zip(ready, readings, strict=True):
            cells[network.role] = cell_of(job.artefact, reading, network.reference)
        return cells
