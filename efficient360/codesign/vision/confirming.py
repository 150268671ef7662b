"""What is handed over is measured once more: in turns with the original in every runtime, on images that nobody has used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from efficient360.codesign.problem import Baseline, Confirmation, Confirmed
from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.vision.judging import Answers
from efficient360.codesign.vision.making import Making, not_at_parity, package_bytes
from efficient360.codesign.vision.metrics import metrics_told, qualities
from efficient360.codesign.vision.on_device import LONG, measure, speedup
from efficient360.codesign.vision.original import Original
from efficient360.codesign.vision.variants import Variant
from efficient360.core.measurement import Failure, Measurement
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job
from efficient360.deployment.devices.latency_metrics import outcomes
from efficient360.deployment.devices.timing import ArtefactResult, result_of
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact


@final
@dataclass(frozen=True)
class _Made:
    """A candidate, ready to be timed."""

    candidate: Candidate
    variant: Variant
    artefact: Artefact


@final
@dataclass(frozen=True)
class Confirming:
    """One interleaved run, and the accuracy of all that takes part in it.

    Args:
        original: The checkpoint.
        device: Where it runs.
        description: What that is.
        making: Makes artefacts.
        answers: What artefacts have answered.
        space: The space of the search.
    """

    original: Original
    device: Device
    description: DeviceDescription
    making: Making
    answers: Answers
    space: Space

    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        """As :meth:`efficient360.codesign.problem.Problem.confirm`."""
        bases = self.baselines()
        made = {candidate: self._made(candidate) for candidate in dict.fromkeys([*bases.values(), *candidates])}
        ready = [one for one in made.values() if isinstance(one, _Made)]
        jobs = {one.candidate: Job(one.artefact, int(one.candidate.settings.get("threads", 0)), self.making.probes(one.artefact.size)) for one in ready}
        readings: dict[int, DeviceReading | Failure] = {}
        if ready:
            measured = measure(self.device, list(jobs.values()), self.making.probes(ready[0].artefact.size), LONG)
            readings = {id(job): outcome for job, outcome in measured}
        results = {one.candidate: result_of(one.artefact, readings[id(jobs[one.candidate])], self.making.reference(one.variant)) for one in ready}
        quick = _fastest(bases, results)
        named = {name: candidate for name, candidate in bases.items() if name == next(iter(bases)) or name == quick}
        told = [self._confirmed(candidate, made[candidate], results.get(candidate), named, results) for candidate in candidates]
        return Confirmation(tuple(told), tuple(self._baseline(name, made[candidate], results.get(candidate)) for name, candidate in bases.items()))

    def baselines(self) -> dict[str, Candidate]:
        """The original in every runtime of the space, by the name it is shown under; the first runtime's first."""
        runtimes = next(knob for knob in self.space.knobs if knob.name == "runtime")
        original = self.space.original
        return {f"{catalogue.runtime(str(name)).title} fp32": Candidate({**original.settings, "runtime": name}) for name in runtimes.values}

    def _made(self, candidate: Candidate) -> _Made | Failure:
        variant = self.making.variant(candidate, trained=True)
        if isinstance(variant, Failure):
            return variant
        artefact = self.making.artefact(candidate, variant)
        return artefact if isinstance(artefact, Failure) else _Made(candidate, variant, artefact)

    def _measured(self, made: _Made, result: ArtefactResult) -> dict[str, Measurement] | Failure:
        """Costs and qualities of one that was timed."""
        if result.failure is not None:
            return result.failure
        if result.parity is not None and not result.parity.passed:
            return not_at_parity(result.parity)
        classes, final = made.variant.model.classes, self.original.parts.final
        hits = self.answers.artefact_hits(made.artefact, classes, final)
        if isinstance(hits, Failure):
            return hits
        original = self.answers.hits(self.original.model, self.original.program, final)
        costs = metrics_told([told for told in outcomes(result, self.device.name) if isinstance(told, Measurement)] + [package_bytes(made.artefact)])
        return {**costs, **qualities(original, hits)}

    def _baseline(self, name: str, made: _Made | Failure, result: ArtefactResult | None) -> Baseline:
        measured = made if isinstance(made, Failure) else self._measured(made, _given(result))
        return Baseline(name, {}, measured) if isinstance(measured, Failure) else Baseline(name, measured)

    def _confirmed(
        self,
        candidate: Candidate,
        made: _Made | Failure,
        result: ArtefactResult | None,
        named: dict[str, Candidate],
        results: dict[Candidate, ArtefactResult],
    ) -> Confirmed:
        if isinstance(made, Failure):
            return Confirmed(candidate, {}, made)
        own = _given(result)
        measured = self._measured(made, own)
        if isinstance(measured, Failure):
            return Confirmed(candidate, {}, measured)
        faster: dict[str, Measurement] = {}
        for name, base in named.items():
            other = results.get(base)
            if own.reading is not None and other is not None and other.reading is not None and base != candidate:
                told = speedup(own.reading, other.reading, {"baseline": name, "device": self.device.name})
                faster |= {} if told is None else {name: told}
        return Confirmed(candidate, measured, None, self._facts(made, own), faster)

    def _facts(self, made: _Made, result: ArtefactResult) -> dict[str, Any]:
        artefact, timing = made.artefact, result.timing
        return {
            "artefact": artefact.to_json(),
            "folder": str(artefact.folder),
            "network": dict(made.variant.facts),
            "images": self.original.parts.describe(),
            "device": self.device.name,
            "emulated": self.description.emulated,
            "threads": 0 if result.reading is None else result.reading.threads,
            "version": "" if result.reading is None else result.reading.version,
            "parity": None if result.parity is None else replace(result.parity, per_image=()).relative,
            "findings": [] if timing is None else [[finding.code, finding.message] for finding in timing.findings],
        }


def _given(result: ArtefactResult | None) -> ArtefactResult:
    assert result is not None  # whatever was made was timed
    return result


def _fastest(bases: dict[str, Candidate], results: dict[Candidate, ArtefactResult]) -> str:
    """Name of the baseline whose latency counts and is least, ``""`` where none counts."""
    times = {name: result.timing.p50 for name, base in bases.items() if (result := results.get(base)) is not None and result.rankable and result.timing}
    return min(times, key=lambda name: times[name]) if times else ""
