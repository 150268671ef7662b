"""What a run is: the identity of what it measures, the key of each stored outcome, and the header of its report."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from efficient360.core import environment
from efficient360.deployment.artefact import identity as deployment_identity
from efficient360.evaluator import Need
from efficient360.execution.session import Opening


def identity_of(opening: Opening) -> dict[str, Any]:
    """All that the clean predictions depend on beside the data."""
    checkpoint = opening.checkpoint
    return {
        "weights": checkpoint.digest,
        "architecture": checkpoint.architecture,
        "arguments": dict(checkpoint.arguments),
        "preprocessing": dataclasses.asdict(checkpoint.preprocessing),
        "keep": None if opening.keep is None else list(opening.keep),
        "device": opening.plan.device,
        "software": environment.software(opening.environment),
    } | ({"deployment": deployment_identity(opening.plan.deployment)} if opening.plan.deployment else {})


def key_of(opening: Opening, evaluator: Any) -> str:
    """The key of an evaluator's outcomes: another wherever anything differs that its numbers depend on."""
    identity = identity_of(opening) | {
        "evaluator": evaluator.name,
        "version": evaluator.version,
        "settings": dataclasses.asdict(evaluator),
        "seed": opening.plan.seed,
        "data": None if opening.dataset is None else opening.dataset.examples.digest,
    }
    if Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses and (training := opening.training()) is not None:
        identity["training"] = training.fingerprint
    if Need.SHIFTS in evaluator.needs | evaluator.uses and opening.dataset is not None:
        identity["shifts"] = {shift.name: shift.identity for shift in opening.dataset.shifts}
    if others := opening.others(evaluator.others()):
        identity["others"] = {reference: other.identity for reference, other in others.items()}
    if Need.MACHINE in evaluator.needs:
        identity["machine"] = environment.machine(opening.environment)
    identity |= {"surroundings": surroundings} if (surroundings := evaluator.surroundings()) else {}
    return f"{evaluator.name}-{digest(identity)}"


def digest(identity: Mapping[str, Any]) -> str:
    """SHA-256 of an identity, 24 hexadecimal digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:24]


def header_of(opening: Opening, planned: list[Any]) -> dict[str, Any]:
    """What a report tells of the run beside its outcomes, plain JSON."""
    plan, checkpoint, dataset = opening.plan, opening.checkpoint, opening.dataset
    plain = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint) if f.name not in ("spec", "preprocessing", "path")}
    plain |= {"reference": plan.checkpoint.reference, "preprocessing": dataclasses.asdict(checkpoint.preprocessing), "trained": checkpoint.trained}
    if opening.deployment is not None:
        plain |= {"name": f"{checkpoint.name} as {plan.deployment}", "deployment": opening.deployment.describe()}
    header: dict[str, Any] = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "checkpoint": plain,
        "dataset": None,
        "environment": opening.environment | {"device": plan.device},
        "protocol": {
            "name": plan.protocol,
            "evaluators": {e.name: {"version": e.version, "settings": dataclasses.asdict(e)} for e in planned},
            "seed": plan.seed,
            "batch_size": plan.batch_size,
            "max_minutes": plan.max_minutes,
        },
    }
    if dataset is not None:
        card = dataset.card
        header["dataset"] = {
            "name": card.name,
            "title": card.title,
            "split": dataset.split,
            "examples": len(dataset.examples),
            "available": dataset.available,
            "digest": dataset.examples.digest,
            "classes": len(dataset.examples.class_names),
            "kept_outputs": None if opening.keep is None else len(opening.keep),
            "unseen": list(dataset.unseen),
            "source": dataclasses.asdict(card.source),
            "license": card.license,
            "citation": card.citation,
            "notes": card.notes,
            "groups": list(card.groups),
        }
    plain_json: dict[str, Any] = json.loads(json.dumps(header, default=str))
    return plain_json
