"""What a search hands over: a folder with the artefact, its card, the lines that run it, and its network as a checkpoint where one can hold it."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, final

from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Confirmed, Measured
from efficient360.codesign.result import SearchResult
from efficient360.codesign.vision.making import Making
from efficient360.codesign.vision.original import Original
from efficient360.codesign.vision.snippet import snippet
from efficient360.codesign.vision.variants import Variant
from efficient360.core.measurement import Failure, Measurement
from efficient360.core.paths import file_name
from efficient360.deployment.artefact_folder import ArtefactCard, write_artefact
from efficient360.errors import Efficient360Error, RunError
from efficient360.methods.compression.cut_file import write_cut
from efficient360.methods.compression.cuts import NO_CUTS

MODEL: Final = "model"
MISSES: Final = "misses"
RUN: Final = "run.py"
NETWORK: Final = "network"


@final
@dataclasses.dataclass(frozen=True)
class Delivery:
    """Writes what was found.

    Args:
        original: The checkpoint.
        making: Makes artefacts; what was made is taken from its folder.
        out: The search's folder.
    """

    original: Original
    making: Making
    out: Path

    def write(self, result: SearchResult) -> list[Path]:
        """Write the winner into ``model/``, or the nearest misses into ``misses/1-…``, ``misses/2-…``; what an earlier search left there goes.

        Returns:
            The folders, the best first.

        Raises:
            SettingsError: The system refuses it (``unwritable``).
        """
        by_candidate = {confirmed.candidate: confirmed for confirmed in result.confirmed}
        if result.winner is not None:
            shutil.rmtree(self.out / MISSES, ignore_errors=True)
            return [self._write(result.goals, by_candidate[result.trials[result.winner].candidate], self.out / MODEL)]
        for left in (MODEL, MISSES):
            shutil.rmtree(self.out / left, ignore_errors=True)
        folders = []
        misses = [by_candidate[result.trials[number].candidate] for number in result.misses if result.trials[number].candidate in by_candidate]
        for place, confirmed in enumerate((miss for miss in misses if miss.failure is None), start=1):
            (self.out / MISSES).mkdir(parents=True, exist_ok=True)
            name = file_name(f"{place}-{confirmed.candidate['runtime']}-{confirmed.candidate['precision']}")
            folders.append(self._write(result.goals, confirmed, self.out / MISSES / name))
        return folders

    def _write(self, goals: Sequence[Goal], confirmed: Confirmed, folder: Path) -> Path:
        variant = self.making.variant(confirmed.candidate, trained=True)
        artefact = variant if isinstance(variant, Failure) else self.making.artefact(confirmed.candidate, variant)
        if isinstance(variant, Failure) or isinstance(artefact, Failure):
            gone = variant if isinstance(variant, Failure) else artefact
            assert isinstance(gone, Failure)
            raise RunError(gone.code, f"what was found can't be made again: {gone.message}", gone.hint)
        checkpoint = self.original.checkpoint
        preprocessing = dataclasses.replace(checkpoint.preprocessing, input_size=artefact.size)
        beside = self._network(variant)
        threads = int(confirmed.facts.get("threads", 1)) or 1
        if program := snippet(artefact, preprocessing, threads):
            beside[RUN] = program.encode()
        told = {
            "runs_with": f"{artefact.runtime} {confirmed.facts.get('version', '')}".strip(),
            "threads": threads,
            "settings": dict(confirmed.candidate.settings),
            "from": {"name": checkpoint.name, "architecture": checkpoint.architecture, "digest": checkpoint.digest},
            "data": {"name": self.original.data, "split": self.original.split, **self.original.parts.describe()},
            "goals": [{"metric": goal.metric.name, "limit": goal.limit, "verdict": _verdict(goal, confirmed.measured)} for goal in goals],
            "measured": {name: _figure(told) for name, told in confirmed.measured.items()},
            "speedups": {name: _figure(told) for name, told in confirmed.speedups.items()},
            "conditions": {key: value for key, value in confirmed.facts.items() if key not in ("artefact", "folder")},
            "without": [] if RUN in beside else [f"no {RUN}: a few lines can't run {artefact.runtime} with these images"],
        }
        name = f"{checkpoint.name} as {artefact.label}"[:200]
        write_artefact(artefact, ArtefactCard(name, variant.model.classes, self.original.class_names, preprocessing, told), folder, beside)
        return folder

    def _network(self, variant: Variant) -> dict[str, bytes]:
        """The cut network as a checkpoint's files by their path; empty where nothing was cut, or no weights file can hold it."""
        if variant.cut.cuts == NO_CUTS:
            return {}
        with TemporaryDirectory() as folder:
            try:
                write_cut(variant.cut, self.original.checkpoint, Path(folder) / f"{NETWORK}.safetensors", f"{self.original.checkpoint.name} cut")
            except Efficient360Error:  # it runs all the same; only evaluators that want gradients can't have it
                return {}
            return {f"{NETWORK}/{file.name}": file.read_bytes() for file in Path(folder).iterdir()}


def _verdict(goal: Goal, measured: Measured) -> str:
    found = measured.get(goal.metric.name)
    return "not measured" if found is None else goal.verdict(found).value


def _figure(told: Measurement) -> Mapping[str, Any]:
    interval = None if told.interval is None else [told.interval.low, told.interval.high]
    return {"value": told.value, "unit": told.metric.unit, "interval": interval, "n": told.n}
