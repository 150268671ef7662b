"""Which of a file's tensors are the weights: under which key, behind which prefix, and why these."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import Selection
from efficient360.models.name_matching import Shapes, common_prefix, heads_of, is_beside, is_counter, linear_layers, places
from efficient360.models.state_dicts import SEPARATOR, Role, StateDict, described, role_of, state_dicts

EMA: Final = "ema"
"""As a key, the moving average of the weights, whatever its own key is."""
HEAD: Final = "+"
"""In a key, between a network without a classifier and a linear layer beside it: ``backbone+classifier``."""


@final
@dataclass(frozen=True)
class Candidate:
    """Tensors that may be the weights.

    Args:
        selection: Where they are.
        label: Key and prefix as ``--weights-key`` takes them; ``""`` for a plain state dict.
        role: What they are by their names.
        tensors: Tensor by the network's names.
        fits: Whether they are exactly the network's tensors.
        beside: First parts of names in the same state dict that were left out and are no losses, metrics or counters.
    """

    selection: Selection
    label: str
    role: Role
    tensors: Mapping[str, Tensor]
    fits: bool
    beside: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Choice:
    """The weights that are taken.

    Args:
        taken: These.
        reason: Why, where there was a choice.
        others: Labels of those that fit as well, likeliest first; those with the same values left out.
    """

    taken: Candidate
    reason: str = ""
    others: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Target:
    """A network, as far as weights are looked for.

    Args:
        shapes: Its tensors.
        classifier: Dotted names of its classifiers, whose number of classes may differ.
        fits: Whether tensors are this network's, renamed or resampled where it takes that.
    """

    shapes: Shapes = field(default_factory=dict)
    classifier: tuple[str, ...] = ()
    fits: Callable[[Mapping[str, Tensor]], bool] = lambda _: True


def choose(content: Any, path: Path, key: str = "", target: Target | None = None) -> Choice:
    """The weights among all that a file holds.

    Args:
        content: What it holds.
        path: The file, for messages.
        key: Which to take: a key, a prefix, part of either, or ``ema``; ``""`` for the usual.
        target: The network they are for, where it is known.

    Raises:
        CheckpointError: There is no state dict, or none under the key.
    """
    found = candidates(content, key, target)
    if not found:
        raise _no_state_dict(content, path)
    taken = _ranked(_named(found, key, path) if key else found)[0]
    # A taken state dict may lie inside another that also counts as one: it is not an alternative to itself.
    ranked = _ranked(found) if target is not None and taken.fits else []
    others = [candidate for candidate in ranked if candidate is not taken and not _same(candidate.tensors, taken.tensors)]
    return Choice(taken, _reason(taken, others, key), tuple(candidate.label for candidate in others))


def _ranked(found: Collection[Candidate]) -> list[Candidate]:
    """Those that fit, or else all, in the order in which they are taken."""
    fitting = [candidate for candidate in found if candidate.fits]
    return sorted(fitting or found, key=lambda candidate: candidate.role)


def candidates(content: Any, key: str = "", target: Target | None = None) -> tuple[Candidate, ...]:
    """Everything in a file that may be the weights, the likeliest first. Without a network, all state dicts behind the prefix that their names share."""
    if target is None or not target.shapes:
        found = [_candidate(one, Selection(one.key, common_prefix(one.tensors)), None) for one in state_dicts(content)]
        largest = max((len(candidate.tensors) for candidate in found), default=0)
        return tuple(candidate for candidate in found if 2 * len(candidate.tensors) >= largest)
    head = key.partition(HEAD)[2]
    placed: list[tuple[float, Candidate]] = []
    for one in state_dicts(content):
        shapes = shapes_of(one.tensors)
        for place in places(shapes, target.shapes):
            renamed = _separate_head(head, target) if head else heads_of(target.shapes, shapes, place.prefix, target.classifier)
            selection = Selection(one.key, place.prefix, tuple(renamed.items()))
            placed.append((place.shapes, _candidate(one, selection, target)))
    best = max((score for score, _ in placed), default=0)
    near = [candidate for score, candidate in placed if candidate.fits or 2 * score >= best]
    return tuple(near) or _foreign(content, target)


def _foreign(content: Any, target: Target) -> tuple[Candidate, ...]:
    """State dicts under names of another library, which the network's own filter may know."""
    found = [_candidate(one, Selection(one.key, common_prefix(one.tensors)), target) for one in state_dicts(content)]
    largest = max((len(candidate.tensors) for candidate in found), default=0)
    return tuple(candidate for candidate in found if candidate.fits or 2 * len(candidate.tensors) >= largest)


def _candidate(one: StateDict, selection: Selection, target: Target | None) -> Candidate:
    tensors = select(one.tensors, selection)
    unexpected = [name for name in tensors if target is not None and name not in target.shapes]
    left_out = tuple(name for name in tensors if is_counter(name)) if target is None else tuple(name for name in unexpected if is_beside(name))
    if target is not None and not set(target.shapes) <= set(tensors):
        left_out = tuple(name for name in left_out if is_counter(name))  # names of another library: theirs may begin with such words
    selection = Selection(one.key, selection.prefix, selection.renamed, left_out)
    tensors = select(one.tensors, selection)
    taken = {*(selection.prefix + name for name in tensors), *(name for name, _ in selection.renamed)}
    beside = dict.fromkeys(name.partition(".")[0] for name in one.tensors if name not in taken and not is_beside(name.removeprefix(selection.prefix)))
    label = one.label(selection.prefix)
    return Candidate(selection, label, role_of(label, one.tensors), tensors, target is None or target.fits(tensors), tuple(beside))


def select(tensors: Mapping[str, Tensor], selection: Selection) -> dict[str, Tensor]:
    """The tensors of a state dict that a selection takes, under the network's names."""
    renamed = dict(selection.renamed)
    taken = {name[len(selection.prefix) :]: name for name in tensors if name.startswith(selection.prefix) and name not in renamed}
    taken = {name: source for name, source in taken.items() if name and name not in selection.left_out}
    return {name: tensors[source] for name, source in {**taken, **{new: old for old, new in renamed.items() if old in tensors}}.items()}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shape by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def separate_heads(candidate: Candidate, content: Any, target: Target) -> tuple[str, ...]:
    """Keys that put a network without a classifier together with a linear layer beside it."""
    if not candidate.selection.prefix or any(f"{head}.weight" in candidate.tensors for head in target.classifier):
        return ()
    one = next(one for one in state_dicts(content) if one.key == candidate.selection.key)
    inputs = next((target.shapes[f"{head}.weight"][-1] for head in target.classifier if target.shapes.get(f"{head}.weight")), 0)
    layers = linear_layers(shapes_of(one.tensors), candidate.selection.prefix, inputs)
    return tuple(f"{candidate.label}{HEAD}{layer}" for layer in layers)


def _separate_head(layer: str, target: Target) -> dict[str, str]:
    return {f"{layer}.{kind}": f"{head}.{kind}" for head in target.classifier[:1] for kind in ("weight", "bias")}


def _named(found: Collection[Candidate], key: str, path: Path) -> list[Candidate]:
    wanted = key.partition(HEAD)[0].strip("./")
    exact = [c for c in found if wanted in (c.label, c.selection.key, c.selection.prefix.rstrip("."))]
    if exact:
        return exact
    parts = [c for c in found if wanted in c.label.replace(".", SEPARATOR).split(SEPARATOR)]
    if parts:
        return parts
    if wanted == EMA:
        if average := [c for c in found if c.role is Role.AVERAGE]:
            return average
        raise CheckpointError("no-ema-weights", f"{path} has no moving average's weights, only {_labels(found)}", "leave out --weights-key")
    raise CheckpointError("unknown-weights-key", f"{path} has no weights under {key!r}; it has {_labels(found)}", "give one of these, or leave it out")


def _labels(found: Collection[Candidate]) -> str:
    return ", ".join(repr(label) if label else "a plain state dict" for label in dict.fromkeys(c.label for c in found))


def _reason(taken: Candidate, others: Collection[Candidate], key: str) -> str:
    if key:
        return "asked for"
    if not others:
        return ""
    beside = ", ".join(candidate.label or "the plain ones" for candidate in others)
    if taken.role is Role.TEACHER and any(candidate.role is Role.STUDENT for candidate in others):
        return f"a teacher is the average of its student and is what is usually evaluated; {beside} fits too"
    if any(candidate.role > taken.role for candidate in others):
        return f"the weights as they were trained go before averages of them; {beside} fits too"
    return f"the first of those that fit; {beside} fits too"


def _same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(first[name] is second[name] or torch.equal(first[name], second[name]) for name in first)


def _no_state_dict(content: Any, path: Path) -> CheckpointError:
    if not isinstance(content, Mapping):
        return CheckpointError("no-state-dict", f"{path} holds {described(content)}, not a state dict", "save model.state_dict()")
    keys = [shown(key) for key in list(content)[:5]]
    more = f" and {len(content) - 5} more" if len(content) > 5 else ""
    return CheckpointError("no-state-dict", f"{path} holds no tensors by name (found {', '.join(keys) or 'nothing'}{more})", "save model.state_dict()")
