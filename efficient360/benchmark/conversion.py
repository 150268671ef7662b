"""All artefacts of a model, one after the other; a converter that crashed or hung is remembered, so that a later call does not wait for it again."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from efficient360.benchmark.plan import What
from efficient360.benchmark.subject import Subject
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.runtime import Artefact, Precision

FAILED = "failed.json"


def convert(subject: Subject, targets: Sequence[What], batch: int, retry_failed: bool, told: Callable[[str], None]) -> dict[What, Artefact | Failure]:
    """Build artefacts, or take what an earlier call left.

    Args:
        subject: Of what.
        targets: For which runtimes.
        batch: Images in a call.
        retry_failed: Whether what failed in an earlier call is tried again.
        told: Called with ``runtime:precision`` before each.
    """
    path = subject.source.folder / FAILED
    remembered = _read(path)
    found: dict[What, Artefact | Failure] = {}
    for runtime, precision in targets:
        told(f"{runtime}:{precision}")
        key = _key(subject, runtime, precision, batch)
        if key in remembered and not retry_failed:
            found[runtime, precision] = remembered[key]
            continue
        outcome = build(subject.source, runtime, precision, batch)
        found[runtime, precision] = outcome
        if isinstance(outcome, Failure) and outcome.status is Status.FAILED:
            remembered[key] = outcome
            _write(path, remembered)
        elif remembered.pop(key, None) is not None:
            _write(path, remembered)
    return found


def _key(subject: Subject, runtime: str, precision: Precision, batch: int) -> str:
    converter = catalogue.runtime(runtime)
    plugin = Path(runtime).read_text(encoding="utf-8") if runtime.endswith(".py") else ""
    parts = [subject.facts.identity, runtime, converter.version, catalogue.versions(converter), precision, batch, plugin]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Failure]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {key: Failure(Status(said["status"]), said["code"], said["message"], said["hint"]) for key, said in data.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(path: Path, failures: dict[str, Failure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({key: dataclasses.asdict(failure) for key, failure in failures.items()}), encoding="utf-8")
    part.replace(path)
