"""What to say of weights whose architecture nobody names, or that are not of the one that was named: what they look like."""

from typing import Any, Final

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.guessing import foreign, guesses
from efficient360.models.name_matching import is_pretraining
from efficient360.models.sources import CheckpointSource
from efficient360.models.state_dicts import state_dicts

_MISFITS: Final = ("wrong-architecture", "weights-mismatch")


def unknown_architecture(reference: str, content: Any) -> CheckpointError:
    """What a checkpoint is refused with that names no architecture.

    Args:
        reference: As the user gave it.
        content: What its file holds.
    """
    message = f"{reference} comes without a sidecar that names its architecture"
    if looks := looks_like(content):
        return CheckpointError("architecture-unknown", message, f"{looks} (efficient360 inspect {reference} shows what is in it)")
    hint = 'name it with --arch (a timm name), or write model.json beside it with "architecture" and "model_args"'
    return CheckpointError("architecture-unknown", message, hint)


def looks_like(content: Any) -> str:
    """What tensors look like, and how to say so; ``""`` where they look like nothing known."""
    guess = next(iter(guesses(content)), None)
    if (guess is None or guess.classes is None) and any(is_pretraining(one.tensors) for one in state_dicts(content)):
        what = f" of {guess.architecture}" if guess is not None else ""
        return f"its tensors are those of self-supervised training{what}, without a classifier: give a checkpoint that was fine-tuned or probed"
    if guess is not None:
        return f"it looks like {guess}: {guess.options}"
    if told := foreign(content):
        return f"its tensors have the names of {told[0]}: {told[1]}"
    return ""


def explained(error: CheckpointError, spec: CheckpointSpec, source: CheckpointSource, content: Any) -> CheckpointError:
    """The error of weights that do not fit, with what they look like.

    Args:
        error: What they are refused with.
        spec: What the user asked for.
        source: Where it led.
        content: What the file holds.
    """
    if error.code not in _MISFITS:
        return error
    looks = looks_like(content)
    if source.recorded and not spec.architecture:
        message = f"{spec.reference}: what its trainer wrote names {source.sidecar.architecture}, which its weights are not of ({error.message})"
        return CheckpointError("architecture-unknown", message, looks or error.hint)
    return CheckpointError(error.code, error.message, f"{error.hint}; {looks}" if looks else error.hint)
