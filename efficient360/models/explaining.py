"""What to say of weights whose architecture nobody names, or that are not of the one that was named: what they look like."""

import shlex
from pathlib import Path
from typing import Any, Final

from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.guessing import foreign, guesses
from efficient360.models.name_matching import is_pretraining
from efficient360.models.source_beside import Offer, networks_beside
from efficient360.models.sources import CheckpointSource
from efficient360.models.state_dicts import state_dicts

FITTING: Final = 0.7
"""Share of a checkpoint's parts that a network in a file beside it has at least to be taken for its own."""
_OFFERED: Final = 4
_MISFITS: Final = ("wrong-architecture", "weights-mismatch")


def unknown_architecture(reference: str, content: Any, path: Path | None) -> CheckpointError:
    """What a checkpoint is refused with that names no architecture.

    Args:
        reference: As the user gave it.
        content: What its file holds.
        path: That file; Python files beside it are read for a network that fits, and never run.
    """
    message = f"{reference} comes without a sidecar that names its architecture"
    if own := own_network(content, path):
        return CheckpointError("architecture-unknown", message, f"{own} (efficient360 inspect {reference} shows what is in it)")
    if looks := looks_like(content):
        return CheckpointError("architecture-unknown", message, f"{looks} (efficient360 inspect {reference} shows what is in it)")
    hint = 'name it with --arch (a timm name), or write model.json beside it with "architecture" and "model_args"'
    return CheckpointError("architecture-unknown", message, hint)


def own_network(content: Any, path: Path | None) -> str:
    """What Python files beside a checkpoint offer for it; ``""`` where none defines a network whose parts it has, and something else is known of it."""
    offers = offered_networks(content, path)
    if not offers or (offers[0].fits < FITTING and guesses(content)):
        return ""
    best = offers[0]
    others = [offer.name for offer in offers[1:_OFFERED] if offer.file == best.file]
    why = "has the parts of its tensors" if best.fits >= FITTING else "may be its network"
    also = f"; {best.file.name} also has {', '.join(others)}" if others else ""
    return f"{best.name} in {best.file.name} beside it {why}: --arch {shlex.quote(best.architecture)}{also} (the file is run then)"


def offered_networks(content: Any, path: Path | None) -> list[Offer]:
    """The networks that Python files beside a checkpoint define, the likeliest first."""
    found = [] if path is None else [networks_beside(path.parent, list(one.tensors)) for one in state_dicts(content)[:_OFFERED]]
    return max(found, key=lambda offers: offers[0].fits if offers else -1.0, default=[])


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
