"""One cell of a measurement: an artefact on a device, with what its reading says or the reason there is none."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Reading
from efficient360.deployment.devices.timing import Timing, analyse
from efficient360.deployment.runtimes.parity import Parity, parity
from efficient360.deployment.runtimes.runtime import Artefact


@final
@dataclass(frozen=True)
class Cell:
    """An artefact on a device.

    Args:
        artefact: What ran.
        reading: Raw; ``None`` when there is a failure.
        timing: Its summary.
        parity: How its answers compare with the checkpoint's; ``None`` where the device hands none back.
        failure: Why there is no reading.
    """

    artefact: Artefact
    reading: Reading | None
    timing: Timing | None
    parity: Parity | None
    failure: Failure | None

    @property
    def counts(self) -> bool:
        """Whether its latency may be ranked: it was measured, and its answers are not known to be wrong."""
        return self.timing is not None and (self.parity is None or self.parity.passed)


def cell_of(artefact: Artefact, outcome: Reading | Failure, reference: NDArray[np.float32] | None) -> Cell:
    """Summarise what a device gave for an artefact.

    Args:
        artefact: What ran.
        outcome: What :meth:`efficient360.deployment.devices.device.Device.measure` yielded for it.
        reference: The checkpoint's logits ``(n, K)`` of the probe images; ``None`` when there is nothing to compare with.
    """
    if isinstance(outcome, Failure):
        return Cell(artefact, None, None, None, outcome)
    compared = None if reference is None or outcome.logits is None else parity(reference, outcome.logits, artefact.precision)
    return Cell(artefact, outcome, analyse(outcome), compared, None)
