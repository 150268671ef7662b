"""A checkpoint: a reference and a digest of its weights, with all that is needed to build the network; and the embedded checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from efficient360.errors import Unsupported

_ZOO = Path(__file__).parent / "zoo"


def zoo_names() -> tuple[str, ...]:
    """Names of the embedded checkpoints, sorted. Reads no weights and imports no torch."""
    return tuple(sorted(card.stem for card in _ZOO.glob("*.json") if card.with_suffix(".safetensors").is_file()))


def zoo_file(name: str) -> Path:
    """Weights file of an embedded checkpoint; its card lies beside it as ``NAME.json``."""
    return _ZOO / f"{name}.safetensors"


class Origin(StrEnum):
    """Where the weights come from; ``memory`` is a network that a program handed over, ``code`` one that a user's file builds with its weights."""

    ZOO = "zoo"
    FILE = "file"
    HUB = "hub"
    MEMORY = "memory"
    CODE = "code"
    RANDOM = "random"


@final
@dataclass(frozen=True)
class CheckpointSpec:
    """What the user asked for.

    Args:
        reference: Name in the embedded zoo, timm name or tag, ``torchvision:NAME``, ``hf-hub:org/name``, or a path.
        architecture: Architecture of a bare weights file: a timm name, ``torchvision:NAME``, or ``path/to/file.py:NAME`` of a function or class, which is
            trusted and run; ``""`` takes it from the sidecar.
        arguments: Keyword arguments of the architecture, over the sidecar's.
        random_weights: Build the architecture with seeded random weights instead.
        weights_key: Which weights to take where a file holds several: a key, a prefix, part of either, or ``ema``; ``""`` takes the usual.
        seed: Seed of random weights.
        output: Which of several outputs are the logits, by name or index, see :func:`efficient360.models.outputs.logits_in`.
        preprocessing: Some of :class:`Preprocessing`'s values, over the sidecar's.
    """

    reference: str
    architecture: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    random_weights: bool = False
    weights_key: str = ""
    seed: int = 0
    output: str = ""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Selection:
    """Which tensors of a file are the weights.

    Args:
        key: Keys that lead to their state dict, joined by ``/``; ``""`` for the file itself.
        prefix: What their names begin with there, ``""`` or ending in a dot.
        renamed: Pairs of a name in the state dict and the network's name for it, where these differ by more than the prefix.
        left_out: Names behind the prefix that are none of the network's.
    """

    key: str = ""
    prefix: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Preprocessing:
    """timm's evaluation data config: how images are prepared for the model.

    Args:
        input_size: ``(3, H, W)``.
        mean: Per-channel mean, in [0, 1].
        std: Per-channel deviation.
        interpolation: ``bicubic``, ``bilinear`` …
        crop_pct: Share of the resized image that the centre crop keeps, in (0, 1].
        crop_mode: timm's ``center``, ``squash`` or ``border``.
    """

    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_pct: float = 1.0
    crop_mode: str = "center"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A resolved checkpoint. Two checkpoints with equal ``digest``, architecture, arguments and preprocessing are the same model.

    Args:
        spec: What the user asked for.
        name: Short display name, derived from the reference.
        architecture: Its name, as a library knows it; for a network given in memory, the qualified name of its class.
        arguments: Keyword arguments for it, ``num_classes`` included where the library takes it.
        origin: Where the weights come from.
        path: Local file of the weights, ``None`` for random ones.
        digest: SHA-256 over the sorted tensors (name, dtype, shape, bytes): the same for ``.pth`` and ``.safetensors``. Of a network given in
            memory, over that and the source of its classes; of one that a user's file builds, or with an output that was chosen, over that and those, see
            :func:`efficient360.models.weights.checkpoint_digest`.
        preprocessing: How images are prepared for the model.
        num_classes: Length of a row of logits.
        class_names: Name of each class where known, else empty.
        card: Whatever else the sidecar says: training, licence, measured figures.
        assumed: Values of the preprocessing that nobody named, so that the architecture's defaults stand.
        selection: Which tensors of the file are the weights.
        alternatives: Other weights of the same file that fit, as ``weights_key`` takes them.
        greyscale: Whether the weights are those of a network for images of one channel, and take the luminance of an RGB image.
    """

    spec: CheckpointSpec
    name: str
    architecture: str
    arguments: Mapping[str, Any]
    origin: Origin
    path: Path | None
    digest: str
    preprocessing: Preprocessing
    num_classes: int
    class_names: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    selection: Selection = Selection()
    alternatives: tuple[str, ...] = ()
    greyscale: bool = False

    @property
    def trained(self) -> bool:
        """Whether the weights were trained."""
        return self.origin is not Origin.RANDOM

    def require_rebuildable(self) -> None:
        """Ask before the network is built a second time, in another process or at another size.

        Raises:
            Unsupported: It was given in memory, so only its author's program can build it.
        """
        if self.origin is Origin.MEMORY:
            message = f"{self.name} was given in memory and can't be built a second time, which this needs"
            raise Unsupported("in-memory", message, "save its weights and evaluate the file")
