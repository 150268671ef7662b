"""Classes of a data set and of a checkpoint: which outputs answer which labels, and which classes a checkpoint was never trained on."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.datasets.card import Card
from efficient360.datasets.class_names import CommonNames, are_placeholders, common_names, imagenet_synsets, synset
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.folder_listing import is_number
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint

IMAGENET_CLASSES: Final = 1000
ClassOrder = Literal["", "data", "checkpoint"]
"""Whose order of classes is taken for both: nobody's, the data's or the checkpoint's."""
LISTED: Final = 8


@final
@dataclass(frozen=True)
class ClassMatch:
    """Which outputs answer which labels.

    Args:
        outputs: Index of the output that answers each label, in the order of the labels, followed by the outputs that answer none: they compete, too.
            ``None`` where that is the checkpoint's own order.
        class_names: Name of each of these outputs.
        findings: What a reader should know of the match.
        alternatives: Other ways to match that were not taken, in words: the output of each label, where it has one.
    """

    outputs: tuple[int, ...] | None
    class_names: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    alternatives: Mapping[str, Sequence[int]] = field(default_factory=dict)


def match_classes(
    names: Sequence[str], checkpoint: Checkpoint, card: Card, class_map: Mapping[str, str | int] | None = None, order: ClassOrder = ""
) -> ClassMatch:
    """Which of a checkpoint's outputs answers which class of the data: by name wherever both sides have names, never by a guess.

    Args:
        names: The data's classes, index = label.
        checkpoint: Its outputs, and their names where it has some.
        card: The data set's.
        class_map: What the user says of it.
        order: ``data`` or ``checkpoint`` matches by position knowingly.

    Raises:
        DatasetError: Names that don't match, other numbers of classes, or a class map that lacks one.
    """
    outputs = () if are_placeholders(checkpoint.class_names) else checkpoint.class_names
    total = checkpoint.num_classes
    if class_map:
        chosen = [_mapped(name, class_map, checkpoint) for name in names]
        _require_distinct(chosen, names)
        told = f"{len(names)} classes are matched to the checkpoint's outputs by the class map that was given"
        return _match(chosen, names, outputs, total, (Finding("classes-mapped", told, "read the classes' accuracies to see that the map is right"),))
    if order:
        return _by_position(names, checkpoint, outputs, order)
    shared = common_names(names, checkpoint.class_names) if checkpoint.class_names else None
    if shared is not None and set(shared.data) <= set(shared.outputs):
        place = {name: i for i, name in enumerate(shared.outputs)}
        return _match([place[name] for name in shared.data], names, checkpoint.class_names, total, _loosely(names, checkpoint.class_names, shared))
    if card.imagenet_classes and total == IMAGENET_CLASSES and len(names) == len(card.imagenet_classes):
        return _restricted(names, card)
    synsets = imagenet_synsets(total) if not outputs else ()
    wanted = [synset(name) for name in names] if synsets else [None]
    if synsets and all(name in synsets for name in wanted):
        told = f"the checkpoint names none of its {total} classes; they are taken for ImageNet's in the usual order"
        finding = Finding("imagenet-order", told, "write class_names into its sidecar if they are others")
        return _match([synsets.index(str(name)) for name in wanted], names, synsets, total, (finding,))
    if names and all(is_number(name) for name in names):
        return _by_number(names, checkpoint, outputs)
    if outputs:
        raise _differ(names, outputs)
    return _by_position(names, checkpoint, outputs, "")


def match_examples(
    examples: ExampleSet, checkpoint: Checkpoint, card: Card, class_map: Mapping[str, str | int] | None = None, order: ClassOrder = ""
) -> tuple[ExampleSet, ClassMatch]:
    """The match of a split's classes; a class without examples that the checkpoint does not know is left out.

    Returns:
        The examples, their class names still the data's, and the match.

    Raises:
        DatasetError: As :func:`match_classes`.
    """
    try:
        found = match_classes(examples.class_names, checkpoint, card, class_map, order)
    except DatasetError:
        used = tuple(int(i) for i in np.unique(examples.labels))
        if len(used) == len(examples.class_names):
            raise
        examples = of_classes(examples, used)
        found = match_classes(examples.class_names, checkpoint, card, class_map, order)
    return examples, found


def _match(chosen: Sequence[int], names: Sequence[str], outputs: Sequence[str], total: int, findings: tuple[Finding, ...] = ()) -> ClassMatch:
    taken = set(chosen)
    rest = [i for i in range(total) if i not in taken]
    order = (*chosen, *rest)
    shown = (*names, *(outputs[i] if outputs else str(i) for i in rest))
    if rest:
        told = f"the data have {len(names)} of the checkpoint's {total} classes; all {total} outputs compete, as when it is used"
        findings = (*findings, Finding("fewer-classes", told, "its accuracy among these classes alone would be higher"))
    return ClassMatch(None if order == tuple(range(total)) else order, shown, findings)


def _loosely(names: Sequence[str], outputs: Sequence[str], shared: CommonNames) -> tuple[Finding, ...]:
    if not shared.how:
        return ()
    theirs = dict(zip(shared.outputs, outputs, strict=True))
    pairs = [f"{name} = {theirs[form]}" for name, form in zip(names, shared.data, strict=True) if theirs[form] != name]
    told = f"{len(pairs)} of {len(names)} classes are matched {shared.how}: {_listed(pairs)}"
    return (Finding("classes-matched-loosely", told, "say otherwise with --class-map"),)


def _restricted(names: Sequence[str], card: Card) -> ClassMatch:
    told = f"of the checkpoint's {IMAGENET_CLASSES} outputs only the {len(names)} of {card.title} compete, as its card says"
    advice = "its accuracy among all outputs is lower; imagefolder: or parquet: with the same files lets all compete"
    return ClassMatch(card.imagenet_classes, tuple(names), (Finding("outputs-restricted", told, advice),))


def _by_number(names: Sequence[str], checkpoint: Checkpoint, outputs: Sequence[str]) -> ClassMatch:
    """Classes called by numbers: each is the output of that index, or the one before it where they begin at 1 and end at the number of outputs."""
    numbers, total = [int(name) for name in names], checkpoint.num_classes
    _require_distinct(numbers, names)
    from_one = min(numbers) == 1 and max(numbers) == total
    chosen = [number - 1 for number in numbers] if from_one else numbers
    if max(chosen) >= total:
        message = f"the data's classes are called by numbers up to {max(numbers)}, the checkpoint has {total} outputs"
        raise DatasetError("class-count-mismatch", message, "say which class is which output with --class-map FILE")
    findings: list[Finding] = []
    alternatives: dict[str, Sequence[int]] = {}
    if outputs:
        told = f"the data's classes are called {_range(names)}; they are taken for the checkpoint's outputs of these numbers, {outputs[chosen[0]]} first"
        findings.append(Finding("classes-by-number", told, "say otherwise with --class-map"))
    if min(numbers) == 1:
        told = f"the data's classes are called {_range(names)}, and none is 0; {'1 is taken for the first output' if from_one else '1 is taken for output 1'}"
        findings.append(Finding("labels-from-one", told, "say otherwise with --class-map"))
        alternatives["numbered from 1" if not from_one else "numbered from 0"] = [n - 1 for n in numbers] if not from_one else numbers
    text = sorted(names)
    if text != list(names):
        told = f"the data's classes are called {_range(names)} and stand in numeric order; sorted as text, {_first_swap(names)}"
        findings.append(Finding("numeric-order", told, "a checkpoint trained on folders sorted as text wants --class-map"))
        alternatives["sorted as text"] = [text.index(name) for name in names]
    found = _match(chosen, names, outputs, total, tuple(findings))
    return dataclasses.replace(found, alternatives={how: tuple(places) for how, places in alternatives.items() if max(places) < total})


def _by_position(names: Sequence[str], checkpoint: Checkpoint, outputs: Sequence[str], order: ClassOrder) -> ClassMatch:
    total = checkpoint.num_classes
    if len(names) != total:
        raise DatasetError(
            "class-count-mismatch",
            f"the checkpoint answers with {total} classes, the data have {len(names)}",
            "evaluate it on the data set it was trained for, say which class is which output with --class-map FILE, or give its class_names in the sidecar",
        )
    shown = tuple(outputs) if order == "checkpoint" and outputs else tuple(names)
    if order:
        told = f"classes are matched by position, as --class-order {order} says; {_side_by_side(names, outputs) if outputs else _listed(list(names))}"
        return ClassMatch(None, shown, (Finding("classes-by-position", told, "a wrong order makes every accuracy wrong"),))
    told = f"the checkpoint names none of its classes; they are taken to be in the data's order: {_listed(list(names))}"
    return ClassMatch(None, shown, (Finding("classes-by-position", told, "write class_names into its sidecar to be sure"),))


def _mapped(name: str, class_map: Mapping[str, str | int], checkpoint: Checkpoint) -> int:
    if name not in class_map and name not in checkpoint.class_names:
        raise DatasetError("bad-class-map", f"the class map has no entry for the data's class {name!r}", f"it has: {_listed(list(class_map))}")
    output = class_map.get(name, name)  # who has the same name on both sides need not stand in it
    if isinstance(output, str):
        if output not in checkpoint.class_names:
            message = f"the class map sends {name!r} to {output!r}, which is no class of the checkpoint"
            raise DatasetError("bad-class-map", message, f"its classes are: {_listed(list(checkpoint.class_names)) or 'nameless; give indices'}")
        return checkpoint.class_names.index(output)
    if not 0 <= output < checkpoint.num_classes:
        message = f"the class map sends {name!r} to output {output}; the checkpoint has 0 … {checkpoint.num_classes - 1}"
        raise DatasetError("bad-class-map", message, "give an index within that range")
    return output


def _require_distinct(chosen: Sequence[int], names: Sequence[str]) -> None:
    seen: dict[int, str] = {}
    for output, name in zip(chosen, names, strict=True):
        if output in seen:
            raise DatasetError(
                "class-twice", f"the data's classes {seen[output]!r} and {name!r} are both output {output}", "give each class an output of its own"
            )
        seen[output] = name


def _differ(names: Sequence[str], outputs: Sequence[str]) -> DatasetError:
    """The error that puts the names of both sides beside each other."""
    return DatasetError(
        "class-names-differ",
        f"the class names of the data and of the checkpoint don't match; {_side_by_side(names, outputs)}",
        "say which is which with --class-map FILE, a CSV with a line DATA NAME,CHECKPOINT NAME for each that differs; only where both sides are known to be in "
        "the same order, take positions: --class-order data or checkpoint",
    )


def _side_by_side(names: Sequence[str], outputs: Sequence[str]) -> str:
    data, checkpoint = set(names), set(outputs)
    ours, theirs = [n for n in names if n not in checkpoint], [n for n in outputs if n not in data]
    return f"only in the data: {_listed(ours) or 'none'}; only in the checkpoint: {_listed(theirs) or 'none'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _range(names: Sequence[str]) -> str:
    return f"{names[0]} … {names[-1]}"


def _first_swap(names: Sequence[str]) -> str:
    text = sorted(names)
    place = next(i for i, (a, b) in enumerate(zip(names, text, strict=True)) if a != b)
    return f"{text[place]} would come after {text[place - 1]}"


def unseen_classes(examples: ExampleSet, checkpoint: Checkpoint) -> tuple[int, ...]:
    """The data set's classes that a checkpoint was never trained on, ascending.

    Empty unless every class of the checkpoint is, by name, one of the data set's: a checkpoint of other classes altogether is no case of this.
    """
    names, outputs = list(examples.class_names), checkpoint.class_names
    if len(outputs) != checkpoint.num_classes or len(outputs) >= len(names):
        return ()
    if (shared := common_names(names, outputs)) is None:
        return ()
    known = set(shared.outputs)
    return tuple(i for i, name in enumerate(shared.data) if name not in known)


def of_classes(examples: ExampleSet, classes: tuple[int, ...]) -> ExampleSet:
    """The examples of some classes, which are renumbered from 0 in their order.

    Args:
        examples: All examples.
        classes: Classes to keep, ascending.
    """
    place = {old: new for new, old in enumerate(classes)}
    kept = np.flatnonzero(np.isin(examples.labels, classes)).tolist()
    part = examples.select([examples.ids[i] for i in kept])
    labels = np.array([place[int(label)] for label in part.labels], dtype=np.int64)
    return dataclasses.replace(part, labels=labels, class_names=[examples.class_names[i] for i in classes])


def known_part(examples: ExampleSet, checkpoint: Checkpoint) -> ExampleSet:
    """The examples of the classes that a checkpoint knows."""
    unseen = unseen_classes(examples, checkpoint)
    return of_classes(examples, tuple(sorted(set(range(len(examples.class_names))) - set(unseen)))) if unseen else examples


def unseen_part(examples: ExampleSet, checkpoint: Checkpoint) -> ExampleSet:
    """The examples of the classes that it was never trained on."""
    return of_classes(examples, unseen_classes(examples, checkpoint))


def with_classes(examples: ExampleSet, names: Sequence[str], shown: Sequence[str]) -> ExampleSet | None:
    """A split labelled as another is: by the other's class names, shown under the names of the model's outputs.

    Args:
        examples: The split; examples of classes that the other has not are left out.
        names: The other's own class names, index = label.
        shown: Names to show, those of the same labels first.

    Returns:
        The split; ``None`` where the two have no class in common.
    """
    if list(examples.class_names) == list(names):
        return dataclasses.replace(examples, class_names=list(shown))
    place = {name: i for i, name in enumerate(names)}
    kept = [i for i, label in enumerate(examples.labels.tolist()) if examples.class_names[label] in place]
    if not kept:
        return None
    part = examples.select([examples.ids[i] for i in kept])
    labels = np.array([place[examples.class_names[label]] for label in part.labels.tolist()], dtype=np.int64)
    return dataclasses.replace(part, labels=labels, class_names=list(shown))
