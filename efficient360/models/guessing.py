"""Which architecture a bare file of weights is of, by names and shapes: guessed, checked by building it, and offered, never taken."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, final

from efficient360.core.parsing import parse_yaml
from efficient360.errors import CheckpointError
from efficient360.models.architectures import skeleton
from efficient360.models.family_arguments import arguments_of, untold
from efficient360.models.fingerprints import Known, fingerprint, known_architectures
from efficient360.models.name_matching import Shapes, common_prefix, is_beside, is_counter
from efficient360.models.selection import shapes_of
from efficient360.models.state_dicts import StateDict, state_dicts

_PLAINEST: Final = ("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "swin_tiny_patch4_window7_224", "convnext_tiny")
"""Which architecture of a family stands for it, where a network is of none of the usual sizes."""
_TRIED: Final = 6
"""Architectures that are built to see whether they fit."""
_OF_IMAGES: Final = (("img_size",), ("image_size",), ("img_size", "patch_size"), ("img_size", "window_size"))
"""Arguments that change no width and no depth: an architecture that fits with these is known by its name, its heads among them."""
_MOST_NAMED: Final = 3
_FOREIGN: Final = {
    r"(\w+\.)*embeddings\.patch_embeddings\..*|(\w+\.)?encoder\.layers?\.\d+\.(blocks|attention|layernorm_before).*|vision_model\..*": (
        "an image model of transformers",
        "give its folder, with the config.json that its Trainer or save_pretrained wrote",
    ),
    r".*\.self_attn\.in_proj_weight": ("a network with nn.TransformerEncoder", "--arch path/to/file.py:build, where build returns the network"),
    r".*to_patch_embedding\..*|.*\.to_qkv\.weight": ("a network of vit-pytorch", "--arch path/to/file.py:build, where build returns the network"),
    r"(.*\.)?visual\.conv1\.weight|(.*\.)?text_projection": ("a CLIP model", "give it as open-clip:NAME/TAG with its class names"),
}


@final
@dataclass(frozen=True)
class Guess:
    """An architecture that a file's tensors look like.

    Args:
        architecture: Its name, as ``--arch`` takes it.
        arguments: Its arguments.
        classes: Rows of the classifier in the file; ``None`` where it has none.
        alike: Further architectures with the same names and shapes.
        key: Where in the file the tensors are, as ``--weights-key`` takes it.
        untold: Arguments that neither names nor shapes tell, each with what is usual.
    """

    architecture: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    alike: tuple[str, ...] = ()
    key: str = ""
    untold: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """The options that name it on the command line."""
        given = [f"--arch-arg {name}={argument_text(value)}" for name, value in self.arguments.items()]
        return " ".join([f"--arch {self.architecture}", *given, *(f"--arch-arg {name}=N" for name in self.untold)])

    def __str__(self) -> str:
        """A sentence's worth of it."""
        head = "without a classifier" if self.classes is None else f"with {self.classes} classes"
        alike = (
            f" (or {', '.join(self.alike[:_MOST_NAMED])}{', …' if len(self.alike) > _MOST_NAMED else ''}, which have the same tensors)" if self.alike else ""
        )
        untold = "; ".join(f"{name} can't be told from shapes: {usual}" for name, usual in self.untold.items())
        return f"{self.architecture}{' of another size' if self.arguments else ''} {head}{alike}" + (f"; {untold}" if untold else "")


def argument_text(value: Any) -> str:
    """A value as ``--arch-arg`` takes it; a text that YAML would read as something else stays one."""
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return "[" + ",".join(map(argument_text, value)) + "]" if isinstance(value, list | tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _is_plain(text: str) -> bool:
    try:
        return bool(parse_yaml(text) == text)
    except ValueError:
        return False


def guesses(content: Any) -> tuple[Guess, ...]:
    """Architectures of the tensors in a file, the likeliest first, one for each place in it that looks like one.

    Args:
        content: What the file holds.
    """
    found: dict[str, Guess] = {}
    for one in state_dicts(content):
        for prefix in _prefixes(one):
            shapes = _bare(one, prefix)
            key = one.label(prefix)
            if len(shapes) >= 4 and (guess := _guess(shapes)) is not None:
                found.setdefault(key, dataclasses.replace(guess, key=key))
                break
    return tuple(found.values())


def foreign(content: Any) -> tuple[str, str] | None:
    """What a file's names say that no architecture by name fits: whose they are, and what to do; ``None`` where they say nothing."""
    for one in state_dicts(content):
        for pattern, told in _FOREIGN.items():
            if any(re.fullmatch(pattern, name) for name in one.tensors):
                return told
    return None


def _prefixes(one: StateDict) -> list[str]:
    """Beginnings behind which at least half of the tensors stand."""
    counts: Counter[str] = Counter()
    for name in one.tensors:
        parts = name.split(".")
        counts.update(".".join(parts[:i]) + "." for i in range(1, min(4, len(parts))))
    half = sorted((p for p, n in counts.items() if 2 * n >= len(one.tensors)), key=len)
    return list(dict.fromkeys([common_prefix(one.tensors), *half, ""]))


def _bare(one: StateDict, prefix: str) -> dict[str, tuple[int, ...]]:
    """Shapes behind a prefix, without losses, metrics and counters; the one layer of a ``Sequential`` head under the head's own name."""
    shapes = {name[len(prefix) :]: shape for name, shape in shapes_of(one.tensors).items() if name.startswith(prefix)}
    shapes = {name: shape for name, shape in shapes.items() if name and not is_counter(name) and not is_beside(name)}
    heads = {match[1] for name in shapes if (match := re.fullmatch(r"(head|fc|classifier|head\.fc)\.\d+\.weight", name))}
    for head in heads:
        layers = {name.rpartition(".")[0] for name in shapes if name.startswith(f"{head}.")}
        if len(layers) == 1:
            layer = layers.pop()
            shapes = {name.replace(f"{layer}.", f"{head}.") if name.startswith(f"{layer}.") else name: shape for name, shape in shapes.items()}
    return shapes


def _guess(shapes: Shapes) -> Guess | None:
    by_kind: dict[str, list[Known]] = {"exact": [], "sized": [], "named": []}
    for classifier, table in _tables().items():
        mine = fingerprint(shapes, classifier)
        for kind in by_kind:
            by_kind[kind] += table.get((kind, getattr(mine, kind)), ())
    if exact := _preferred(by_kind["exact"]):
        return Guess(exact[0].name, {}, _classes(shapes, exact[0].classifier), tuple(known.name for known in exact[1:]))
    sized, named = (_preferred(by_kind[kind])[:_TRIED] for kind in ("sized", "named"))
    resized = [(known, names) for names in _OF_IMAGES for known in sized]
    return next(_fitting(shapes, [*resized, *((known, None) for known in named)]), None)


def _fitting(shapes: Shapes, likely: Sequence[tuple[Known, tuple[str, ...] | None]]) -> Iterator[Guess]:
    """Architectures that have exactly these tensors when they are built with some, or with all, of the arguments that the shapes tell."""
    for known, names in likely:
        told = arguments_of(shapes, known.name)
        if told is None or (names is not None and not set(names) <= told.keys()):
            continue
        arguments = {name: value for name, value in told.items() if names is None or name in names}
        classes = _classes(shapes, known.classifier)
        try:
            built = shapes_of(skeleton(known.name, {**arguments, **({} if classes is None else {"num_classes": classes})}).state_dict())
        except CheckpointError:
            continue
        rest = {name for name in built if name.rpartition(".")[0] not in known.classifier}
        if rest == {name for name in shapes if name.rpartition(".")[0] not in known.classifier} and all(built[name] == shapes[name] for name in rest):
            open_ones = untold(shapes, arguments)
            yield Guess(known.name, {name: value for name, value in arguments.items() if name not in open_ones}, classes, untold=open_ones)


def _preferred(known: Sequence[Known]) -> list[Known]:
    """The plainest name first: short, and a ViT before its descendants."""
    return sorted({k.name: k for k in known}.values(), key=lambda k: (k.name not in _PLAINEST, not k.name.startswith("vit_"), len(k.name), k.name))


@cache
def _tables() -> Mapping[tuple[str, ...], Mapping[tuple[str, str], list[Known]]]:
    """By classifier, then by kind and value of a fingerprint."""
    tables: dict[tuple[str, ...], dict[tuple[str, str], list[Known]]] = {}
    for known in known_architectures():
        table = tables.setdefault(known.classifier, {})
        for kind in ("exact", "sized", "named"):
            table.setdefault((kind, getattr(known.fingerprint, kind)), []).append(known)
    return tables


def _classes(shapes: Shapes, classifier: Collection[str]) -> int | None:
    return next((shapes[f"{head}.weight"][0] for head in classifier if shapes.get(f"{head}.weight")), None)
