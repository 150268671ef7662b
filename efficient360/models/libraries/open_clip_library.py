"""OpenCLIP's models as zero-shot classifiers, known as ``open-clip:`` and the name of their configuration."""

import contextlib
import copy
import importlib.metadata
import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.core.close_names import close_names
from efficient360.core.reading import shown
from efficient360.core.text import reason
from efficient360.errors import CheckpointError
from efficient360.models.libraries.library import Library, Published
from efficient360.models.libraries.zero_shot import CLASSES, FOLDER, PROMPTS, TextTower, Towers, ZeroShotClassifier, labels_from

PREFIX: Final = "open-clip:"
OWN_CONFIG: Final = "model_cfg"
"""Argument: the configuration itself, of a folder whose ``open_clip_config.json`` has it."""
FILES: Final = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors")
_FOREIGN: Final = ("hf_model_name", "timm_model_pretrained", "hf_model_pretrained")
_OF_THE_LIBRARY: Final = "custom"


@final
class _ImageTower(nn.Module):
    """Images to features, as the model's ``encode_image``."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(B, D)`` of normalised images ``(B, 3, H, W)``."""
        made: Any = self.visual(images)
        features: Tensor = made[0] if isinstance(made, tuple) else made
        return features


@final
@dataclass(frozen=True)
class _Text(TextTower):
    """Args: name of the configuration, the configuration as JSON, and the folder of its tokenizer, ``""`` for the library's own."""

    name: str
    config: str
    folder: str

    def open(self, tensors: Mapping[str, Tensor]) -> Towers:
        from open_clip.model import CustomTextCLIP, convert_to_custom_text_state_dict

        with _quietly(), torch.random.fork_rng(devices=[]):
            model = _model(json.loads(self.config))
        named = convert_to_custom_text_state_dict(dict(tensors)) if isinstance(model, CustomTextCLIP) else dict(tensors)
        try:
            missing, unexpected = model.load_state_dict(named, strict=False)
        except RuntimeError as error:
            told = " ".join(str(error).split())[:200]
            raise CheckpointError("weights-mismatch", f"the weights do not fit OpenCLIP's {self.name}: {told}", "name the model that they are of") from error
        unexpected = [name for name in unexpected if "position_ids" not in name]
        if missing or unexpected:
            wrong, what = (missing, "missing") if missing else (unexpected, "unexpected")
            message = f"the weights do not fit OpenCLIP's {self.name}: {len(wrong)} tensors {what} ({', '.join(wrong[:3])})"
            raise CheckpointError("weights-mismatch", message, "name the model that they are of: --arch open-clip:NAME")
        image = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("visual.")}
        bias = getattr(model, "logit_bias", None)
        return Towers(image, float(model.logit_scale.detach().exp()), 0.0 if bias is None else float(bias.detach()), partial(self._encode, model.eval()))

    def identity(self) -> str:
        return f"open_clip {importlib.metadata.version('open_clip_torch')} {self.name} {self.config} {self.folder}"

    def _encode(self, model: Any, texts: Sequence[str]) -> Tensor:
        features: Tensor = model.encode_text(self._tokenizer()(list(texts)))
        return features

    def _tokenizer(self) -> Any:
        import open_clip

        try:
            with _quietly():
                if self.folder:
                    return open_clip.get_tokenizer(f"local-dir:{self.folder}")
                return open_clip.get_tokenizer(self.name)
        except Exception as error:  # All that is called is the library's.
            message = f"OpenCLIP has no tokenizer for {self.name} here ({reason(error, 160)})"
            raise CheckpointError("no-tokenizer", message, "give a folder with open_clip_config.json and the tokenizer's files") from error


@final
class OpenClipLibrary(Library):
    """OpenCLIP: each of its configurations, or one that a folder brings."""

    @property
    def name(self) -> str:
        require_open_clip()
        return f"open_clip {importlib.metadata.version('open_clip_torch')}"

    @property
    def renames(self) -> bool:
        return True

    def owns(self, architecture: str) -> bool:
        return architecture.startswith(PREFIX)

    def require(self, architecture: str) -> None:
        require_open_clip()
        import open_clip

        name = architecture.removeprefix(PREFIX)
        if name == _OF_THE_LIBRARY or name in open_clip.list_models():
            return
        close = close_names(name, tuple(open_clip.list_models()))
        hint = f"did you mean {' or '.join(PREFIX + c for c in close)}?" if close else "open_clip.list_models() lists the names"
        raise CheckpointError("unknown-architecture", f"{self.name} has no model {name!r}", hint)

    def names(self) -> tuple[str, ...]:
        return ()  # a hundred names of another form, listed only where one of them is asked for

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        labels = labels_from(architecture, arguments)
        name, config = architecture.removeprefix(PREFIX), config_of(architecture, arguments)
        if unknown := sorted(arguments.keys() - {CLASSES, PROMPTS, FOLDER, OWN_CONFIG, "num_classes"}):
            raise CheckpointError("architecture-arguments", f"{architecture} has no argument {', '.join(unknown)}", f"it has {CLASSES} and {PROMPTS}")
        with _quietly():
            visual = _model(config).visual
        text = _Text(name, json.dumps(config, sort_keys=True), str(arguments.get(FOLDER) or ""))
        return ZeroShotClassifier(_ImageTower(visual), int(config["embed_dim"]), labels, text)

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        if not has_open_clip() or architecture.removeprefix(PREFIX) == _OF_THE_LIBRARY:
            return {}
        return preprocessing_of(config_of(architecture, {}), {})

    def published(self, reference: str) -> Published | None:
        if not self.owns(reference):
            return None
        require_open_clip()
        import open_clip
        from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

        name, _, tag = reference.removeprefix(PREFIX).partition("/")
        self.require(PREFIX + name)
        if not tag:
            return Published(PREFIX + name)
        weights = get_pretrained_cfg(name, tag)
        if not weights:
            known = list_pretrained_tags_by_model(name)
            hint = f"it has {', '.join(known[:6]) or 'none'}; a file of weights is given as its path with --arch {PREFIX}{name}"
            raise CheckpointError("unknown-tag", f"OpenCLIP's {name} has no weights {tag!r}", hint)
        # Weights that were trained with OpenAI's activation are those of another configuration of the library's.
        quick = f"{name}-quickgelu"
        if weights.get("quick_gelu") and quick in open_clip.list_models():
            name = quick
        repository, _, file = str(weights.get("hf_hub") or "").rpartition("/")
        told = {key: weights[key] for key in ("mean", "std", "interpolation", "resize_mode") if weights.get(key)}
        config = preprocessing_of(config_of(PREFIX + name, {}), told)
        return Published(PREFIX + name, config, repository, (file,) if file else FILES, str(weights.get("url") or ""))

    def source(self, architecture: str) -> str:
        return ""


def has_open_clip() -> bool:
    """Whether OpenCLIP is installed; imports nothing."""
    return importlib.util.find_spec("open_clip") is not None


def config_of(architecture: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a model: the library's by name, or one among the arguments.

    Raises:
        CheckpointError: It needs towers of other libraries that would be downloaded, or is no configuration.
    """
    import open_clip

    given = arguments.get(OWN_CONFIG)
    name = architecture.removeprefix(PREFIX)
    config: Any = copy.deepcopy(given) if given is not None else open_clip.get_model_config(name)
    towers: list[Any] = [config.get(key) for key in ("vision_cfg", "text_cfg")] if isinstance(config, dict) else []
    if len(towers) != 2 or not all(isinstance(tower, dict) for tower in towers) or not isinstance(config.get("embed_dim"), int):
        message = f"{architecture} has no configuration with embed_dim, vision_cfg and text_cfg, but {shown(config)}"
        raise CheckpointError("architecture-arguments", message, "correct open_clip_config.json")
    if foreign := [key for tower in towers for key in _FOREIGN if tower.get(key)]:
        message = f"{architecture} has a tower that another library would download ({', '.join(foreign)})"
        raise CheckpointError("open-clip-tower", message, "evaluate a model whose towers are OpenCLIP's or timm's")
    return dict(config)


def preprocessing_of(config: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Preprocessing in timm's terms: OpenCLIP's usual one, under what its weights say."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    size = config["vision_cfg"].get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    # "longest" pads with a colour; timm's border does the same with the mean's.
    modes = {"shortest": "center", "squash": "squash", "longest": "border"}
    return {
        "input_size": (3, height, width),
        "mean": tuple(told.get("mean") or OPENAI_DATASET_MEAN),
        "std": tuple(told.get("std") or OPENAI_DATASET_STD),
        "interpolation": told.get("interpolation") or "bicubic",
        "crop_pct": 1.0,
        "crop_mode": modes.get(str(told.get("resize_mode") or "shortest"), "center"),
    }


def _model(config: Mapping[str, Any]) -> Any:
    from open_clip.coca_model import CoCa
    from open_clip.model import CLIP, CustomTextCLIP

    given = copy.deepcopy(dict(config))
    custom = given.pop("custom_text", False)
    return (CLIP if not custom else CoCa if "multimodal_cfg" in given else CustomTextCLIP)(**given)


def require_open_clip() -> None:
    """Ask before OpenCLIP is imported.

    Raises:
        CheckpointError: It is not installed.
    """
    if not has_open_clip():
        raise CheckpointError("library-missing", "this checkpoint needs the library open_clip, which is not installed", "pip install 'efficient360[open-clip]'")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what the library logs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
