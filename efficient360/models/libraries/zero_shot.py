"""Image classifiers without a classifier: an image tower, whose features are compared with those of the classes' names in a text tower."""

import functools
import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError

CLASSES: Final = "classes"
"""Argument: names of the classes, one for each output."""
PROMPTS: Final = "prompts"
"""Argument: a template in which ``{}`` stands for a class, or several, whose features are averaged."""
FOLDER: Final = "tokenizer"
"""Argument: the folder that the tokenizer is read from; empty for the library's own."""
PREFIXES: Final = ("transformers-zero-shot:", "open-clip:")
"""How the names of these architectures begin."""
NO_CLASS_NAMES: Final = "no-class-names"
"""Code of the error where no classes are named."""
OPENAI: Final = "openai"
"""A value of ``prompts``: the 80 templates of the CLIP paper, which OpenCLIP carries."""
_MOST_CLASSES: Final = 1000
_MOST_PROMPTS: Final = 200
_BATCH: Final = 64
_SYNSET: Final = re.compile(r"n\d{8}")


@final
@dataclass(frozen=True)
class Labels:
    """What is compared with an image.

    Args:
        classes: Names of the classes.
        templates: Each with ``{}`` where a name goes.
    """

    classes: tuple[str, ...]
    templates: tuple[str, ...]

    def texts(self) -> list[str]:
        """All templates of the first class, then of the next."""
        return [template.replace("{}", name) for name in self.classes for template in self.templates]


@final
@dataclass(frozen=True)
class Towers:
    """The two towers with their weights.

    Args:
        image: The image tower's tensors under its own names.
        scale: By what a similarity in [-1, 1] is multiplied to be a logit.
        bias: What is added.
        encode: Features ``(n, D)`` of texts, not normalised. Raises ``CheckpointError`` where there is no tokenizer, or none without code to be run.
    """

    image: Mapping[str, Tensor]
    scale: float
    bias: float
    encode: Callable[[Sequence[str]], Tensor]


class TextTower(ABC):
    """How a library makes its towers of a file's tensors."""

    @abstractmethod
    def open(self, tensors: Mapping[str, Tensor]) -> Towers:
        """Both towers.

        Raises:
            CheckpointError: The tensors do not fit them.
        """

    @abstractmethod
    def identity(self) -> str:
        """All that features depend on beside the tensors: the configuration, the tokenizer's files, the library's version."""


@final
class ZeroShotClassifier(nn.Module):
    """Logits = scale · cosine similarity of an image and each class + bias: the classes' features are the rows of a linear classifier.

    Args:
        image: From normalised images ``(B, 3, H, W)`` to features ``(B, D)``.
        width: ``D``.
        labels: What is compared with an image.
        text: Computes the classes' features once, when weights are fitted.
    """

    def __init__(self, image: nn.Module, width: int, labels: Labels, text: TextTower) -> None:
        super().__init__()
        self.image = image
        self.classifier = nn.Linear(width, len(labels.classes))
        self.labels = labels
        self.text = text

    def forward_features(self, images: Tensor) -> Tensor:
        """Normalised features ``(B, D)`` of images ``(B, 3, H, W)``."""
        features: Tensor = self.image(images)
        return nn.functional.normalize(features, dim=-1)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits ``(B, K)`` of features ``(B, D)``; with ``pre_logits`` the features themselves, as timm has it."""
        return features if pre_logits else self.classifier(features)

    def get_classifier(self) -> nn.Linear:
        """The layer whose rows are the classes."""
        return self.classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)`` of images ``(B, 3, H, W)``."""
        logits: Tensor = self.classifier(self.forward_features(images))
        return logits

    def fitted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of this network from those of both towers in a file.

        Raises:
            CheckpointError: The tensors do not fit, or there is no tokenizer.
        """
        towers = self.text.open(tensors)
        rows = _class_features(self.text, towers, tensors, self.labels)
        image = {f"image.{name}": tensor for name, tensor in towers.image.items()}
        return {**image, "classifier.weight": towers.scale * rows, "classifier.bias": torch.full((len(rows),), towers.bias)}


def labels_from(architecture: str, arguments: Mapping[str, Any]) -> Labels:
    """The classes and templates among an architecture's arguments.

    Raises:
        CheckpointError: No classes are named (``no-class-names``), or a template has no place for a name.
    """
    classes, prompts = arguments.get(CLASSES), arguments.get(PROMPTS) or "a photo of a {}."
    if not classes:
        message = f"{architecture} compares images with the names of classes, and none are given"
        raise CheckpointError(NO_CLASS_NAMES, message, f"evaluate it on a data set that names its classes, or --arch-arg '{CLASSES}=[cat, dog]'")
    if not isinstance(classes, list | tuple) or len(classes) > _MOST_CLASSES or not all(isinstance(name, str) and name.strip() for name in classes):
        message = f"{CLASSES} is {shown(classes)}, where at most {_MOST_CLASSES:,} names are wanted"
        raise CheckpointError("architecture-arguments", message, f"--arch-arg '{CLASSES}=[cat, dog]'")
    templates = _openai_templates() if prompts == OPENAI else (prompts,) if isinstance(prompts, str) else prompts
    sound = isinstance(templates, list | tuple) and 0 < len(templates) <= _MOST_PROMPTS and all(isinstance(t, str) and "{}" in t for t in templates)
    if not sound:
        hint = f"--arch-arg 'prompts=a photo of a {{}}.', a list of such, or {OPENAI}"
        raise CheckpointError("architecture-arguments", f"{PROMPTS} is {shown(prompts)}, where texts with {{}} for the class are wanted", hint)
    return Labels(tuple(_in_words(name) for name in classes), tuple(templates))


def compares_names(architecture: str) -> bool:
    """Whether an architecture takes its classes from their names, so that they can be any."""
    return architecture.startswith(PREFIXES)


def _in_words(name: str) -> str:
    """The name of a class as one writes it: a WordNet id by its first lemma, of ImageNet's synonyms behind commas the first, underscores as spaces."""
    word = _lemmas().get(name, name) if _SYNSET.fullmatch(name) else name
    return word.partition(",")[0].strip().replace("_", " ") or name


@functools.cache
def _lemmas() -> dict[str, str]:
    text = (resources.files("timm.data") / "_info" / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8")
    pairs = (line.partition("\t") for line in text.splitlines())
    return {synset: lemmas.partition(",")[0].strip() for synset, _, lemmas in pairs}


def _openai_templates() -> tuple[str, ...]:
    try:
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES
    except ImportError as error:
        message = f"{PROMPTS}={OPENAI} are OpenCLIP's templates, which is not installed"
        raise CheckpointError("library-missing", message, "pip install 'efficient360[open-clip]', or write the templates out") from error
    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)


def _class_features(text: TextTower, towers: Towers, tensors: Mapping[str, Tensor], labels: Labels) -> Tensor:
    """A normalised row for each class, float32 ``(K, D)``: computed once for these weights, names and templates, and kept in the user's cache."""
    sha = hashlib.sha256(json.dumps([text.identity(), labels.classes, labels.templates, str(torch.__version__)]).encode())
    for name in sorted(tensors):
        sha.update(name.encode() + b"\0")
        sha.update(tensors[name].detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    kept = _cache() / f"text-{sha.hexdigest()}.safetensors"
    try:
        return load_file(kept)["classes"]
    except (OSError, SafetensorError, KeyError):
        rows = _computed(towers, labels)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        save_file({"classes": rows}, part)
        part.replace(kept)
    except OSError:
        pass  # a cache that can't be written only costs time
    return rows


def _computed(towers: Towers, labels: Labels) -> Tensor:
    texts = labels.texts()
    with torch.inference_mode():
        features = torch.cat([nn.functional.normalize(towers.encode(texts[i : i + _BATCH]).float(), dim=-1) for i in range(0, len(texts), _BATCH)])
        means = features.view(len(labels.classes), len(labels.templates), -1).mean(dim=1)
        return nn.functional.normalize(means, dim=-1).clone()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "efficient360"
