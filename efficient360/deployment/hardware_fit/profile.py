"""Where a runtime's time goes, by its own profiler, several times over."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Device
from efficient360.deployment.hardware_fit.classes import product_share
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact

PROFILES = 3


@final
@dataclass(frozen=True)
class Profile:
    """Operator times of one call.

    Args:
        rows: ``{"name", "kind", "seconds", "place"}`` of the profile with the least time in all: what else ran disturbed it least.
        shares: Share of the time in convolutions and matrix products in each profile.
    """

    rows: Sequence[Mapping[str, Any]]
    shares: tuple[float, ...]

    @property
    def share(self) -> float:
        """Median of the shares."""
        return statistics.median(self.shares)


def profile(device: Device, artefact: Artefact, images: Path, threads: int, timeout: float) -> Profile | Failure:
    """Profile an artefact, each time in a process of its own."""
    profiles: list[Sequence[Mapping[str, Any]]] = []
    for _ in range(PROFILES):
        rows = device.operators(artefact, images, threads, timeout)
        if isinstance(rows, Failure):
            return rows
        profiles.append(rows)
    return summarised(profiles, catalogue.runtime(artefact.runtime).title)


def summarised(profiles: Sequence[Sequence[Mapping[str, Any]]], title: str) -> Profile | Failure:
    """Profiles of one artefact together; a Failure where one tells no time at all."""
    shares = [product_share(rows) for rows in profiles]
    told = tuple(share for share in shares if share is not None)
    if len(told) < len(shares):
        return Failure(Status.UNSUPPORTED, "no-profiler", f"the profiler of {title} told no time of any operator", "take another runtime")
    return Profile(min(profiles, key=lambda rows: sum(row["seconds"] for row in rows)), told)
