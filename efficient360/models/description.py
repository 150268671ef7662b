"""What a checkpoint is, found out in seconds and without data: file, weights, architecture or guesses, preprocessing, and how to evaluate it."""

import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from efficient360.core.formatting import count, scaled
from efficient360.core.text import one_line
from efficient360.errors import CheckpointError
from efficient360.models.architectures import default_config, skeleton
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Preprocessing
from efficient360.models.explaining import FITTING, offered_networks
from efficient360.models.fitting import classifiers, same_but_classes
from efficient360.models.guessing import Guess, argument_text, guesses
from efficient360.models.references import resolve
from efficient360.models.selection import Candidate, Target, candidates, shapes_of
from efficient360.models.source_beside import Offer
from efficient360.models.sources import find_source
from efficient360.models.weights import translated
from efficient360.models.weights_file import WeightsFile, read_file

DATA: Final = "DATA"
"""What stands for a data set in the command that is offered."""
_NAMED: Final = 6
_MOST: Final = 8


@final
@dataclass(frozen=True)
class StoredWeights:
    """One of the things in a file that may be the weights.

    Args:
        key: As ``--weights-key`` takes it; ``""`` for a plain state dict.
        tensors: How many.
        parameters: How many numbers they hold.
        dtypes: Number formats.
        fits: Whether they are the architecture's; ``None`` where none is known.
        taken: Whether they are evaluated.
        guess: What they look like, ``""`` where the architecture is known or nothing fits.
    """

    key: str
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    fits: bool | None
    taken: bool
    guess: str = ""


@final
@dataclass(frozen=True)
class CheckpointDescription:
    """What a checkpoint is.

    Args:
        reference: As it was given.
        file: Path of its weights, ``""`` for none.
        kind: What that file is, in words.
        size: Its bytes.
        stored: What in it may be the weights.
        beside: What else it holds, by key, in words.
        architecture: Its name, ``""`` where nobody names it.
        arguments: Its arguments.
        named_by: Who names the architecture.
        guesses: What its tensors look like, where no architecture is named or another one.
        classes: Number of its outputs; ``None`` where it can't be had.
        class_names: Their names, empty where nobody names them.
        preprocessing: How images are prepared.
        preprocessing_by: Who says so.
        assumed: Values of it that nobody named.
        digest: Of the weights.
        card: What was done to the weights, and what their trainer says of them.
        problem: Why it can't be evaluated as it is, ``""`` where it can.
        code: Of that error.
        hint: What to do about it.
        command: That evaluates it.
    """

    reference: str
    file: str = ""
    kind: str = ""
    size: int = 0
    stored: tuple[StoredWeights, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    named_by: str = ""
    guesses: tuple[str, ...] = ()
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    preprocessing_by: str = ""
    assumed: tuple[str, ...] = ()
    digest: str = ""
    card: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    code: str = ""
    hint: str = ""
    command: str = ""

    def lines(self) -> list[str]:
        """It as text, a matter a line."""
        rows = [("checkpoint", self.reference)]
        if self.file:
            rows.append(("file", f"{self.file}: {self.kind}, {scaled(self.size, 'B')}"))
        rows += [("weights", _weights_line(stored)) for stored in self.stored]
        rows += [("", f"… and {self.card['more']} more")] if "more" in self.card else []
        rows += [
            (name, self.card[key])
            for name, key in (("chosen", "taken_because"), ("chosen", "file"), ("left out", "left_out"), ("adapted", "adapted"))
            if key in self.card
        ]
        if self.beside:
            rows.append(("beside", ", ".join(f"{key} ({what})" for key, what in self.beside.items())))
        if self.architecture:
            arguments = ", ".join(f"{key}={value}" for key, value in self.arguments.items() if key != "num_classes")
            rows.append(("architecture", f"{self.architecture}{f'({arguments})' if arguments else ''}, named by {self.named_by}"))
        rows += [("looks like", guess) for guess in self.guesses]
        if self.classes is not None:
            rows.append(("classes", f"{count(self.classes)}{_names(self.class_names)}"))
        if self.preprocessing is not None:
            rows.append(("images", _images(self.preprocessing)))
            rows.append(("", f"said by {self.preprocessing_by}" + (f"; nobody names {', '.join(self.assumed)}" if self.assumed else "")))
        if self.digest:
            rows.append(("digest", self.digest))
        if self.problem:
            rows += [("problem", f"{self.problem} [{self.code}]"), ("", f"→ {self.hint}")]
        rows.append(("evaluate", self.command))
        width = max(len(name) for name, _ in rows)
        return [f"{name:<{width}}  {one_line(text)}" for name, text in rows]

    def to_json(self) -> dict[str, Any]:
        """It as plain data."""
        shape = self.preprocessing
        plain = {key: value for key, value in vars(self).items() if key not in ("preprocessing", "stored")}
        return {**plain, "stored": [vars(stored) for stored in self.stored], "preprocessing": None if shape is None else vars(shape)}


def describe_checkpoint(spec: CheckpointSpec) -> CheckpointDescription:
    """What a checkpoint is. One that can't be evaluated as it is is described as far as it can be read, with the reason.

    Args:
        spec: As for an evaluation.

    Raises:
        CheckpointError: The reference leads nowhere (``checkpoint-not-found``).
    """
    source = find_source(spec)
    read = functools.cache(read_file)
    checkpoint, problem = _resolved(spec, read)
    file = _read(source.weights, read) if source.weights is not None and not spec.random_weights else None
    content = None if file is None else file.content
    looks = () if checkpoint is not None or file is None else guesses(content)
    offers = offered_networks(content, file.path) if problem is not None and problem.code == "architecture-unknown" and file is not None else []
    known = _of_checkpoint(checkpoint, spec) if checkpoint is not None else {}
    stored = _stored(content, checkpoint, looks) if file is not None else ()
    more = {"more": str(len(stored) - _MOST)} if len(stored) > _MOST else {}
    card = {key: str(value) for key, value in (checkpoint.card if checkpoint is not None else source.card).items() if isinstance(value, str | int | float)}
    return CheckpointDescription(
        spec.reference,
        file="" if file is None else str(file.path),
        kind="" if file is None else file.kind,
        size=0 if file is None else file.size,
        stored=stored[:_MOST],
        beside=_beside(content),
        guesses=tuple(f"{guess}{f', under {guess.key}' if guess.key else ''}" for guess in looks[:_MOST]),
        problem="" if problem is None else problem.message,
        code="" if problem is None else problem.code,
        hint="" if problem is None else problem.hint.partition(" (efficient360 inspect")[0],
        command=_command(spec, looks, offers),
        card={**card, **more},
        **known,
    )


def describe_program(checkpoint: Checkpoint) -> CheckpointDescription:
    """What a program file is (ONNX, TorchScript, ``torch.export``), that was opened as ``checkpoint``."""
    assert checkpoint.path is not None
    kind = f"{checkpoint.card['format']} program: what needs its inside can't be measured"
    preprocessing_by = _preprocessing_by(checkpoint, checkpoint.spec, "the file")
    known = _of_checkpoint(checkpoint, checkpoint.spec) | {"named_by": "the file", "preprocessing_by": preprocessing_by}
    return CheckpointDescription(
        checkpoint.spec.reference,
        file=str(checkpoint.path),
        kind=kind,
        size=checkpoint.path.stat().st_size,
        command=_command(checkpoint.spec, (), ()),
        **known,
    )


def _resolved(spec: CheckpointSpec, read: Callable[[Path], WeightsFile]) -> tuple[Checkpoint | None, CheckpointError | None]:
    try:
        return resolve(spec, read), None
    except CheckpointError as error:
        return None, error


def _read(path: Path, read: Callable[[Path], WeightsFile]) -> WeightsFile | None:
    try:
        return read(path)
    except CheckpointError:  # told as the problem
        return None


def _of_checkpoint(checkpoint: Checkpoint, spec: CheckpointSpec) -> dict[str, Any]:
    named_by = (
        "--arch" if spec.architecture else str(checkpoint.card.get("architecture_source") or ("its own name" if checkpoint.path is None else "its sidecar"))
    )
    return {
        "architecture": checkpoint.architecture,
        "arguments": dict(checkpoint.arguments),
        "named_by": named_by,
        "classes": checkpoint.num_classes,
        "class_names": checkpoint.class_names,
        "preprocessing": checkpoint.preprocessing,
        "preprocessing_by": _preprocessing_by(checkpoint, spec, "the sidecar"),
        "assumed": checkpoint.assumed,
        "digest": checkpoint.digest,
    }


def _preprocessing_by(checkpoint: Checkpoint, spec: CheckpointSpec, otherwise: str) -> str:
    """Who says what the preprocessing is: the options first, for what they name; ``otherwise`` where the card names nobody."""
    source = str(checkpoint.card.get("preprocessing_source") or otherwise)
    named = set(spec.preprocessing)
    if not named:
        return source
    rest = {"input_size", "mean", "std", "interpolation", "crop_pct"} - named - set(checkpoint.assumed)
    return f"--preprocess, the rest by {source}" if rest else "--preprocess"


def _stored(content: Any, checkpoint: Checkpoint | None, looks: tuple[Guess, ...]) -> tuple[StoredWeights, ...]:
    target = None
    if checkpoint is not None:
        name = checkpoint.architecture
        network, classifier = skeleton(name, checkpoint.arguments), classifiers(default_config(name))
        target = Target(
            shapes_of(network.state_dict()), classifier, lambda tensors: same_but_classes(network, translated(tensors, name), classifier, resample=True)
        )
    by_key = {guess.key: str(guess) for guess in looks}
    found = candidates(content, "", target)
    return tuple(_described(candidate, checkpoint, by_key.get(candidate.label, "")) for candidate in found)


def _described(candidate: Candidate, checkpoint: Checkpoint | None, guess: str) -> StoredWeights:
    where = (candidate.selection.key, candidate.selection.prefix)
    taken = checkpoint is not None and where == (checkpoint.selection.key, checkpoint.selection.prefix)
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in candidate.tensors.values()})
    total = sum(tensor.numel() for tensor in candidate.tensors.values())
    fits = None if checkpoint is None else candidate.fits or checkpoint.greyscale or taken
    return StoredWeights(candidate.label, len(candidate.tensors), total, tuple(dtypes), fits, taken, guess)


def _beside(content: Any) -> dict[str, str]:
    """What a checkpoint holds besides tensors by name, a few words each."""
    if not isinstance(content, Mapping):
        return {}
    told = {}
    for key, value in content.items():
        if isinstance(value, bool | int | float | str) and len(str(value)) <= 40:
            told[one_line(str(key), 40)] = f"{value:g}" if isinstance(value, float) else one_line(str(value))
        elif isinstance(value, Mapping | list) and not candidates({"": value}):
            told[one_line(str(key), 40)] = f"{len(value)} entries"
    return dict(list(told.items())[: 2 * _MOST])


def _command(spec: CheckpointSpec, looks: tuple[Guess, ...], offers: Sequence[Offer]) -> str:
    parts = ["efficient360", "evaluate", shlex.quote(spec.reference)]
    if offers and (offers[0].fits >= FITTING or not looks):
        parts += ["--arch", shlex.quote(offers[0].architecture)]
    elif spec.architecture or not looks:
        parts += ["--arch", shlex.quote(spec.architecture)] if spec.architecture else []
        parts += [f"--arch-arg {shlex.quote(f'{name}={argument_text(value)}')}" for name, value in spec.arguments.items()]
    else:
        parts.append(looks[0].options)
    key = spec.weights_key or (looks[0].key if len(looks) > 1 and not spec.architecture else "")
    parts += ["--weights-key", shlex.quote(key)] if key else []
    parts += ["--output", shlex.quote(spec.output)] if spec.output else []
    parts += [f"--preprocess {shlex.quote(f'{name}={argument_text(value)}')}" for name, value in spec.preprocessing.items()]
    parts += ["--random-weights"] if spec.random_weights else []
    return " ".join([*parts, "--dataset", DATA])


def _weights_line(stored: StoredWeights) -> str:
    told = f"{stored.key or 'a plain state dict'}: {count(stored.tensors)} tensors, {scaled(stored.parameters, '')} parameters, {', '.join(stored.dtypes)}"
    state = "taken" if stored.taken else "fits too" if stored.fits else "" if stored.fits is None else "of another network"
    return f"{told}{f', {state}' if state else ''}"


def _names(names: tuple[str, ...]) -> str:
    return f": {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''}" if names else ", whose names nobody says"


def _images(shape: Preprocessing) -> str:
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (shape.mean, shape.std))
    return f"{shape.input_size[1]} x {shape.input_size[2]}, mean {mean}, std {std}, {shape.interpolation}, crop {shape.crop_pct:g} {shape.crop_mode}"
