"""The search problem of an image classifier: a candidate is made, checked, timed on the device, and judged on images."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import final

from efficient360.codesign.problem import Confirmation, Effort, Measured, Problem
from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.vision.confirming import Confirming
from efficient360.codesign.vision.judging import Answers, Hits
from efficient360.codesign.vision.making import Making, not_at_parity, package_bytes
from efficient360.codesign.vision.metrics import COSTS, QUALITIES, metrics_told, qualities
from efficient360.codesign.vision.on_device import SHORT, measure
from efficient360.codesign.vision.original import Original
from efficient360.codesign.vision.variants import Variant, Variants
from efficient360.core import canonical
from efficient360.core.code_digest import code_of, module
from efficient360.core.measurement import Failure, Measurement, Metric
from efficient360.deployment.devices.device import Device, DeviceDescription, Job
from efficient360.deployment.devices.latency_metrics import outcomes
from efficient360.deployment.devices.timing import result_of
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.methods.distillation.recovery import Recovery

OnStep = Callable[[str], None]


@final
class ImageProblem(Problem):
    """Variants of an image classifier on a device.

    Args:
        original: The checkpoint with its images.
        space: What may be changed of it.
        device: Where variants run.
        description: What the device is.
        folder: Where networks, artefacts and answers are kept.
        recovery: How cut networks are trained; ``None`` trains none.
        on_step: Told what is being done.
    """

    def __init__(
        self,
        original: Original,
        space: Space,
        device: Device,
        description: DeviceDescription,
        folder: Path,
        recovery: Recovery | None = None,
        on_step: OnStep = lambda step: None,
    ) -> None:
        self.original, self.device, self.description, self.folder = original, device, description, folder
        self._space, self._on_step = space, on_step
        self._variants = Variants(original, folder / "networks", recovery)
        self.making = Making(original, self._variants, folder / "artefacts")
        self._answers = Answers(folder / "answers", original.checkpoint.preprocessing)
        self._spent: dict[str, float] = {}

    @property
    def space(self) -> Space:
        return self._space

    @property
    def identity(self) -> str:
        return self._identity

    @cached_property
    def _identity(self) -> str:
        code = code_of([module("efficient360.codesign.vision.problem")])
        recovery = self._variants.recovery
        parts = [self.original.identity, self.description, None if recovery is None else recovery, code.digest, dict(code.libraries)]
        return canonical.digest(parts, "the search")

    @property
    def cost_metrics(self) -> Sequence[Metric]:
        return COSTS

    @property
    def quality_metrics(self) -> Sequence[Metric]:
        return QUALITIES

    def cost(self, candidate: Candidate) -> Measured | Failure:
        self._spent = {}
        with self._timed("make"):
            made = self.made(candidate, trained=False)
        if isinstance(made, Failure):
            return made
        variant, artefact = made
        lenient = self._variants.trains(candidate) and artefact.precision.quantized  # it is compared again after its training
        with self._timed("check"):
            compared = self.making.gate(artefact, variant)
        if isinstance(compared, Failure) and not (lenient and compared.code == "parity"):
            return compared
        with self._timed("measure"):
            measured = self._measured(candidate, artefact, None if lenient else variant)
        if isinstance(measured, Failure):
            return measured
        return metrics_told([*measured, package_bytes(artefact)])

    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        self._spent = {}
        first = self.original.parts.quick if effort is Effort.QUICK else None
        trains = self._variants.trains(candidate)
        with self._timed("train" if trains else "make"):
            made = self.made(candidate, trained=True)
        if isinstance(made, Failure):
            return made
        variant, artefact = made
        if trains:
            with self._timed("check"):
                compared = self.making.gate(artefact, variant)
            if isinstance(compared, Failure):
                return compared
        with self._timed("judge"):
            hits = self._answers.artefact_hits(artefact, variant.model.classes, self.original.parts.selection, first)
            return hits if isinstance(hits, Failure) else qualities(self.original_hits(first), hits)

    def seconds(self, candidate: Candidate) -> Mapping[str, float]:
        return dict(self._spent)

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        self._on_step(f"measuring {len(candidates)} once more, in turns with the baselines")
        return Confirming(self.original, self.device, self.description, self.making, self._answers, self._space).confirm(candidates)

    def made(self, candidate: Candidate, trained: bool) -> tuple[Variant, Artefact] | Failure:
        """A candidate's network and artefact, or why there are none."""
        variant = self.making.variant(candidate, trained)
        if isinstance(variant, Failure):
            return variant
        artefact = self.making.artefact(candidate, variant)
        return artefact if isinstance(artefact, Failure) else (variant, artefact)

    def original_hits(self, first: int | None) -> Hits:
        """Which images of the selection part the original names rightly."""
        return self._answers.hits(self.original.model, self.original.program, self.original.parts.selection, first)

    def _measured(self, candidate: Candidate, artefact: Artefact, compared_with: Variant | None) -> list[Measurement] | Failure:
        job = Job(artefact, int(candidate.settings.get("threads", 0)))
        images = self.making.probes(artefact.size)
        ((_, reading),) = measure(self.device, [job], images, SHORT)
        reference = None if compared_with is None else self.making.reference(compared_with)
        result = result_of(artefact, reading, reference)
        if result.failure is not None:
            return result.failure
        if result.parity is not None and not result.parity.passed:
            return not_at_parity(result.parity)
        return [told for told in outcomes(result, self.device.name) if isinstance(told, Measurement)]

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[kind] = self._spent.get(kind, 0.0) + time.monotonic() - began
