"""What a run is: the identity of what it measures, the key of each stored outcome, and the header of its report."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from efficient360.core import canonical, environment
from efficient360.core.code_digest import PACKAGE, Code, Module, code_of, module, module_of
from efficient360.core.findings import findings_to_json
from efficient360.core.written_here import source_of
from efficient360.datasets.examples import ExampleSet
from efficient360.deployment.artefact import identity as deployment_identity
from efficient360.evaluator import Evaluator, ExampleEvaluator, Need
from efficient360.execution.opening_findings import opening_findings
from efficient360.execution.session import Session
from efficient360.models.libraries.own_file import unlocated

MODEL_AND_DATA: Final = (
    "efficient360.evaluator",
    "efficient360.models.building",
    "efficient360.datasets.examples",
    "efficient360.datasets.images",
    "efficient360.execution.predictions",
    "efficient360.execution.scoring",
)
"""What stands between the weights and images, which have digests of their own, and an evaluator; what averages its scores."""
READ_EXAMPLES: Final = 20_000
"""A training split of more examples than this is known by a sample of its images."""
READ_WHOLE: Final = 2**28
"""A folder of more bytes than this is known by its files' sizes and times."""


def identity_of(session: Session) -> dict[str, Any]:
    """All that the clean predictions depend on beside the data."""
    checkpoint = session.checkpoint
    deployment = session.plan.deployment
    return {
        "weights": checkpoint.digest,
        "architecture": unlocated(checkpoint.architecture),
        "arguments": dict(checkpoint.arguments),
        "preprocessing": dataclasses.asdict(checkpoint.preprocessing),
        "keep": None if session.keep is None else list(session.keep),
        "device": session.plan.device,
        **_code(_common_code(session)),
    } | ({"deployment": deployment_identity(deployment), "deployment_files": dict(files_named(deployment.partition(":")[0]))} if deployment else {})


def key_of(session: Session, evaluator: Evaluator | ExampleEvaluator) -> str:
    """The key of an evaluator's outcomes: another wherever anything differs that its numbers depend on.

    Raises:
        PluginError: It holds something that is not plain data, so that results can't be told apart.
    """
    wanted = evaluator.needs | evaluator.uses
    settings = {name: value for name, value in dataclasses.asdict(evaluator).items() if name not in evaluator.drawing_settings}
    common = _common_code(session)
    others = session.others(evaluator.others())
    home = module_of(type(evaluator))
    built_in = home is not None and home.name.startswith(f"{PACKAGE}.")
    roots = [*common, *([home] if home is not None else [])]
    roots += [module("efficient360.datasets.shifts")] if Need.SHIFTS in wanted else []
    roots += [module("efficient360.datasets.others")] if others else []
    identity = identity_of(session) | {
        "evaluator": evaluator.name,
        "version": evaluator.version,
        "settings": settings,
        "files": dict(files_named(settings)),
        "seed": session.plan.seed,
        "data": _data_identity(session, groups=Need.GROUPS in wanted or not built_in),
        **_code(roots),
    }
    if home is None or evaluator.name in session.evaluators:  # typed at a prompt or in a notebook, whatever module it says it is of
        identity["source"] = source_of(type(evaluator))
    if Need.TRAINING_SPLIT in wanted and (training := session.training()) is not None:
        identity["training"] = split_identity(session, training)
    if Need.SHIFTS in wanted and session.dataset is not None:
        identity["shifts"] = {shift.name: shift.identity for shift in session.dataset.shifts}
    if others:
        identity["others"] = {reference: other.identity for reference, other in others.items()}
    if Need.MACHINE in evaluator.needs:
        identity["machine"] = environment.machine(session.environment)
    identity |= {"surroundings": cache_dependencies} if (cache_dependencies := evaluator.cache_dependencies()) else {}
    return f"{evaluator.name}-{digest(identity, evaluator.name)}"


def digest(identity: Mapping[str, Any], what: str) -> str:
    """SHA-256 of an identity, 24 hexadecimal digits.

    Args:
        identity: Plain data.
        what: Whose it is, for the error.

    Raises:
        PluginError: It is not plain.
    """
    return canonical.digest(identity, what)[:24]


def split_identity(session: Session, examples: ExampleSet) -> str:
    """Digest of a split, or of a part of one: of all its images; of a large one that is not the evaluated split, of a sample of them."""
    evaluated = session.dataset is not None and vars(examples).get("digest") == session.dataset.examples.digest  # a copy of it knows its digest already
    return examples.digest if evaluated or len(examples) <= READ_EXAMPLES else examples.fingerprint


def files_named(value: Any) -> Iterator[tuple[str, str]]:
    """Every file or folder whose path stands in a setting's value, at whatever depth, with a digest of what is in it.

    A Python file counts as code, with the modules beside it that it imports.
    """
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from files_named(item)
    elif isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        yield from _content(str(value))


def _content(text: str) -> Iterator[tuple[str, str]]:
    path = Path(text).expanduser()
    try:
        if path.suffix == ".py" and path.is_file():
            code = code_of([Module(path.stem, path)])
            yield text, canonical.digest([code.digest, dict(code.libraries)], text)
        elif path.is_file():
            yield text, _file_digest(path)
            if (sidecar := path.with_suffix(".json")) != path and sidecar.is_file():  # weights are read as it says
                yield str(sidecar), _file_digest(sidecar)
        elif path.is_dir():
            yield text, _folder_digest(path)
    except OSError:  # too long for a name, not ours to read: whoever opens it says so
        return


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_digest(folder: Path) -> str:
    """Of the names and bytes of a folder's files; of a large folder's, of their names, sizes and times."""
    files = [(file.relative_to(folder).as_posix(), file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]
    if sum(stat.st_size for *_, stat in files) > READ_WHOLE:
        return canonical.digest([[name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for name, _, stat in files], str(folder))
    return canonical.digest([[name, _file_digest(file)] for name, file, _ in files], str(folder))


def _common_code(session: Session) -> list[Module]:
    names = [*MODEL_AND_DATA, *(["efficient360.deployment.artefact"] if session.plan.deployment else [])]
    return [module(name) for name in names]


def _code(roots: Sequence[Module]) -> dict[str, Any]:
    code: Code = code_of(roots)
    return {"code": code.digest, "libraries": dict(code.libraries)}


def _data_identity(session: Session, *, groups: bool) -> list[Any] | None:
    if session.dataset is None:
        return None
    examples = session.dataset.examples
    columns = {column: list(values) for column, values in examples.groups.items()} if groups else {}
    return [examples.digest, list(examples.class_names), canonical.digest(columns, "the group columns")]


def header_of(session: Session, planned: Sequence[Evaluator | ExampleEvaluator]) -> dict[str, Any]:
    """What a report tells of the run beside its outcomes, plain JSON."""
    plan, checkpoint, dataset = session.plan, session.checkpoint, session.dataset
    plain = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint) if f.name not in ("spec", "preprocessing", "selection", "path")}
    parts = {"preprocessing": dataclasses.asdict(checkpoint.preprocessing), "selection": dataclasses.asdict(checkpoint.selection)}
    plain |= {"reference": plan.checkpoint.reference, **parts, "trained": checkpoint.trained}
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
