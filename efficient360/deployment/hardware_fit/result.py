"""All that was found of a checkpoint in one runtime."""

from dataclasses import dataclass
from typing import final

from efficient360.core.measurement import Failure
from efficient360.deployment.hardware_fit.delegation import Taken
from efficient360.deployment.hardware_fit.npu import Estimate
from efficient360.deployment.hardware_fit.profile import Profile
from efficient360.deployment.hardware_fit.speed import Speed
from efficient360.deployment.runtimes.runtime import Precision


@final
@dataclass(frozen=True)
class Result:
    """A checkpoint in one runtime; a Failure in the place of whatever there is not.

    Args:
        runtime: Name of the runtime.
        precision: Arithmetic.
        own: The checkpoint's speed.
        twin: That of its convolutional twin.
        profile: Where the time goes.
        taken: What the fast path takes.
        estimate: What an embedded accelerator's compiler expects; ``None`` where the artefact is not one that it reads.
    """

    runtime: str
    precision: Precision
    own: Speed | Failure
    twin: Speed | Failure
    profile: Profile | Failure
    taken: Taken | Failure
    estimate: Estimate | Failure | None = None

    @property
    def label(self) -> str:
        """``runtime:precision``."""
        return f"{self.runtime}:{self.precision}"
