"""``efficient360 inspect``: what a checkpoint or a data set is, and the command that evaluates it."""

import argparse
import dataclasses
import json
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from efficient360.cli.checkpoint_options import checkpoint_spec
from efficient360.cli.data_options import dataset_spec
from efficient360.errors import CheckpointError, DatasetError, Efficient360Error

_UNREAD: Final = ("unknown-weights-format", "weights-truncated", "weights-unreadable", "no-state-dict")
"""Why a file is no checkpoint, that may be data instead."""


def inspect(options: argparse.Namespace) -> int:
    """Print what a checkpoint or a data set is, whichever it is; of a name that is neither, why.

    Raises:
        Efficient360Error: It is neither.
    """
    if (both := _both(options)) is not None:
        checkpoint, data = both
        command = checkpoint.command.replace("--dataset DATA", shlex.join(data.arguments))
        if options.format == "json":
            print(json.dumps({"checkpoint": _plain(checkpoint), "data": _plain(data), "command": command}, indent=2, default=str))
        else:
            print("\n".join([*checkpoint.lines()[:-1], "", *data.lines()[:-2], "", command]))
        return 0
    description = _description(options)
    if options.format == "json":
        print(json.dumps(_plain(description), indent=2, default=str))
    else:
        print("\n".join(description.lines()))
    return 0


def _both(options: argparse.Namespace) -> tuple[Any, Any] | None:
    """The checkpoint and the data in a folder that holds both; ``None`` where it does not."""
    from efficient360.core.paths import is_folder, user_path
    from efficient360.datasets.recognition import holds_weights

    path = user_path(options.checkpoint)
    try:
        if not is_folder(path) or not holds_weights(path):
            return None
        data = _data(options)
    except (OSError, DatasetError):
        return None
    from efficient360.models.description import describe_checkpoint

    try:
        checkpoint = describe_checkpoint(checkpoint_spec(options.checkpoint, options))
    except CheckpointError:
        return None
    return (checkpoint, data) if checkpoint.stored or checkpoint.architecture else None


def _description(options: argparse.Namespace) -> Any:
    unread: DatasetError | None = None
    if _looks_like_data(options.checkpoint):
        try:
            return _data(options)  # without torch, in a second
        except DatasetError as error:
            unread = error
    from efficient360.deployment.program_artefact import is_program, open_program
    from efficient360.models.description import describe_checkpoint, describe_program

    spec = checkpoint_spec(options.checkpoint, options)
    if is_program(spec):
        with TemporaryDirectory() as folder, open_program(spec, Path(folder)) as (checkpoint, _):
            return describe_program(checkpoint)
    try:
        found = describe_checkpoint(spec)
        if found.stored or found.code not in _UNREAD:
            return found
        wrong = CheckpointError(found.code, found.problem, found.hint)
    except CheckpointError as error:
        wrong = error
    if unread is None:
        try:
            return _data(options)
        except DatasetError as error:
            unread = error
    raise _nearer(wrong, unread) from unread


def _looks_like_data(reference: str) -> bool:
    """Whether something is rather data than a checkpoint: a path with no weights in it, the name of a card, or ``KIND:…``."""
    from efficient360.core.paths import is_file, is_folder, user_path
    from efficient360.datasets.card import card_names
    from efficient360.datasets.layouts.catalogue import ALIASES, LAYOUTS
    from efficient360.datasets.recognition import WEIGHTS, holds_weights

    path = user_path(reference)
    if is_file(path):
        return not path.name.lower().endswith(WEIGHTS)
    if is_folder(path):
        try:
            return not holds_weights(path)
        except OSError:
            return False
    kind = reference.partition(":")[0]
    return reference in card_names() or (":" in reference and ALIASES.get(kind, kind) in LAYOUTS)


def _data(options: argparse.Namespace) -> Any:
    from efficient360.datasets.description import describe

    return describe(dataset_spec(options.checkpoint, options))


def _nearer(checkpoint: CheckpointError, data: DatasetError) -> Efficient360Error:
    """Of the two reasons, that of what was probably meant: data where there is something that is no weights, a checkpoint where it is weights."""
    if checkpoint.code == "checkpoint-not-found":
        hint = f"{checkpoint.hint}; for data, {data.hint}"
        return CheckpointError(checkpoint.code, f"{checkpoint.message}; nor is it data: {data.message}", hint)
    return data if checkpoint.code in ("no-weights-in-folder", "unknown-weights-format") else checkpoint


def _plain(description: Any) -> Any:
    """It as JSON has it: keys that are pairs become texts."""
    if hasattr(description, "to_json"):
        return description.to_json()
    return {"command": description.command, **_texts(dataclasses.asdict(description))}


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {" x ".join(map(str, key)) if isinstance(key, tuple) else str(key): _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list | tuple) else value
