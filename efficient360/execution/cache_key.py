"""What a run is: the identity of what it measures, the key of each stored outcome, and the header of its report."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from efficient360.core import environment
from efficient360.core.findings import findings_to_json
from efficient360.deployment.artefact import identity as deployment_identity
from efficient360.evaluator import Evaluator, ExampleEvaluator, Need
from efficient360.execution.opening_findings import opening_findings
from efficient360.execution.session import Session
from efficient360.models.in_memory import class_source


def identity_of(session: Session) -> dict[str, Any]:
    """All that the clean predictions depend on beside the data."""
    checkpoint = session.checkpoint
    return {
        "weights": checkpoint.digest,
        "architecture": checkpoint.architecture,
        "arguments": dict(checkpoint.arguments),
        "preprocessing": dataclasses.asdict(checkpoint.preprocessing),
        "keep": None if session.keep is None else list(session.keep),
        "device": session.plan.device,
        "software": environment.software(session.environment),
    } | ({"deployment": deployment_identity(session.plan.deployment)} if session.plan.deployment else {})


def key_of(session: Session, evaluator: Evaluator | ExampleEvaluator) -> str:
    """The key of an evaluator's outcomes: another wherever anything differs that its numbers depend on."""
    identity = identity_of(session) | {
        "evaluator": evaluator.name,
        "version": evaluator.version,
        "settings": dataclasses.asdict(evaluator),
        "seed": session.plan.seed,
        "data": None if session.dataset is None else session.dataset.examples.digest,
    }
    if Need.TRAINING_SPLIT in evaluator.needs | evaluator.uses and (training := session.training()) is not None:
        identity["training"] = training.fingerprint
    if Need.SHIFTS in evaluator.needs | evaluator.uses and session.dataset is not None:
        identity["shifts"] = {shift.name: shift.identity for shift in session.dataset.shifts}
    if others := session.others(evaluator.others()):
        identity["others"] = {reference: other.identity for reference, other in others.items()}
    if evaluator.name in session.evaluators:  # its author may change it between two calls without a new version
        identity["source"] = class_source(type(evaluator))
    if Need.MACHINE in evaluator.needs:
        identity["machine"] = environment.machine(session.environment)
    identity |= {"surroundings": cache_dependencies} if (cache_dependencies := evaluator.cache_dependencies()) else {}
    return f"{evaluator.name}-{digest(identity)}"


def digest(identity: Mapping[str, Any]) -> str:
    """SHA-256 of an identity, 24 hexadecimal digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:24]


def header_of(session: Session, planned: Sequence[Evaluator | ExampleEvaluator]) -> dict[str, Any]:
    """What a report tells of the run beside its outcomes, plain JSON."""
    plan, checkpoint, dataset = session.plan, session.checkpoint, session.dataset
    plain = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint) if f.name not in ("spec", "preprocessing", "path")}
    plain |= {"reference": plan.checkpoint.reference, "preprocessing": dataclasses.asdict(checkpoint.preprocessing), "trained": checkpoint.trained}
    if session.deployment is not None:
        plain |= {"name": f"{checkpoint.name} as {plan.deployment}", "deployment": session.deployment.describe()}
    header: dict[str, Any] = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "checkpoint": plain,
        "dataset": None,
        "findings": findings_to_json(opening_findings(session, planned)),
        "environment": session.environment | {"device": plan.device},
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
            "kept_outputs": None if session.keep is None else len(session.keep),
            "unseen": list(dataset.unseen),
            "source": dataclasses.asdict(card.source),
            "license": card.license,
            "citation": card.citation,
            "notes": card.notes,
            "groups": list(card.groups),
            **({"files": dict(dataset.files)} if dataset.files else {}),
        }
    plain_json: dict[str, Any] = json.loads(json.dumps(header, default=str))
    return plain_json
