"""torchvision's image classifiers: ``torchvision:vit_b_16``, with weights ``torchvision:vit_b_16.IMAGENET1K_V1``."""

import math
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, final

import torch
import torchvision
from torch import nn
from torchvision import models

from efficient360.core.close_names import close_names
from efficient360.errors import CheckpointError
from efficient360.models.libraries.library import Library, Published

PREFIX: Final = "torchvision:"
_RESERVED: Final = frozenset({"weights", "weights_backbone", "progress"})
_TRANSFORMS_INPUT: Final = ("inception_v3", "googlenet")
"""Their published weights want images normalised as for TensorFlow, which the networks do when they are told to."""
_HASH: Final = re.compile(r"-([0-9a-f]{8,})\.")


@final
class TorchvisionLibrary(Library):
    """torchvision: names with ``torchvision:`` before them."""

    @property
    def name(self) -> str:
        return f"torchvision {torchvision.__version__}"

    def owns(self, architecture: str) -> bool:
        return architecture.startswith(PREFIX)

    def require(self, architecture: str) -> None:
        if architecture in self.names():
            return
        if architecture.partition(".")[0] in self.names():
            hint = f"--arch {architecture.partition('.')[0]}; what stands behind the dot names published weights"
            raise CheckpointError("unknown-architecture", f"{architecture} names weights, not an architecture", hint)
        close = close_names(architecture, self.names())
        hint = f"did you mean {' or '.join(close)}?" if close else "torchvision.models.list_models(module=torchvision.models) lists the names"
        raise CheckpointError("unknown-architecture", f"{self.name} has no image classifier {architecture.removeprefix(PREFIX)!r}", hint)

    def names(self) -> tuple[str, ...]:
        return tuple(f"{PREFIX}{name}" for name in models.list_models(module=models))

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        if reserved := _RESERVED & arguments.keys():
            message = f"{architecture} can't be built with {', '.join(sorted(reserved))}: that says where weights come from"
            raise CheckpointError("architecture-arguments", message, "leave it out")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = models.get_model_builder(architecture.removeprefix(PREFIX))(weights=None, **arguments)
        return network

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        """Of torchvision's default weights; of a ViT, of those for its usual 224 × 224 images."""
        name = architecture.removeprefix(PREFIX)
        enum = models.get_model_weights(name)
        usual = [weights for weights in enum if name.startswith("vit_") and weights.meta.get("min_size") == (224, 224)]
        return {**_config((usual or [enum["DEFAULT"]])[0]), "classifier": _classifier(architecture)}

    def published(self, reference: str) -> Published | None:
        architecture, _, tag = reference.partition(".")
        if architecture not in self.names():
            return None
        name = architecture.removeprefix(PREFIX)
        enum = models.get_model_weights(name)
        known = [weights.name for weights in enum]
        if tag and tag not in known:
            raise CheckpointError("unknown-tag", f"torchvision's {name} has no weights {tag!r}", f"it has {', '.join(known)}")
        weights = enum[tag] if tag else enum["DEFAULT"]
        found = _HASH.search(weights.url)
        arguments = {"image_size": weights.meta["min_size"][0]} if name.startswith("vit_") else {}
        arguments |= {"transform_input": True} if name in _TRANSFORMS_INPUT else {}
        config = {**_config(weights), "model_args": arguments}
        return Published(architecture, config, url=weights.url, sha256=found[1] if found else "")

    def source(self, architecture: str) -> str:  # torchvision's version is among the libraries'
        return ""


def _config(weights: models.WeightsEnum) -> dict[str, Any]:
    """The transforms of published weights, in timm's terms."""
    preset = weights.transforms()
    (crop,), (resize,) = preset.crop_size, preset.resize_size
    return {
        "num_classes": len(weights.meta["categories"]),
        "input_size": (3, crop, crop),
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
        "interpolation": preset.interpolation.value,
        "crop_pct": _share(crop, resize),
        "crop_mode": "center",
    }


def _share(crop: int, resize: int) -> float:
    """The crop's share of the resized image, such that timm, which rounds down, resizes to exactly that many pixels."""
    share = min(1.0, crop / resize)
    return share if math.floor(crop / share) >= resize else math.nextafter(share, 0.0)


@cache
def _classifier(architecture: str) -> str:
    """Name of the layer whose rows are the classes: the last linear one or convolution of that many outputs."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = TorchvisionLibrary().create(architecture, {"num_classes": 7})
    last: list[str] = [name for name, layer in network.named_modules() if getattr(layer, "out_features", getattr(layer, "out_channels", 0)) == 7]
    return last[-1]
