"""CLIP, SigLIP and their like in ``transformers`` as zero-shot classifiers, known as ``transformers-zero-shot:`` and the name of their class."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.core.paths import is_file
from efficient360.core.text import reason
from efficient360.errors import CheckpointError
from efficient360.models.libraries.transformers_config import arguments_from, config_class
from efficient360.models.libraries.transformers_import import require_transformers
from efficient360.models.libraries.transformers_library import OfTransformers, quietly
from efficient360.models.libraries.zero_shot import CLASSES, FOLDER, PROMPTS, TextTower, Towers, ZeroShotClassifier, labels_from

PREFIX: Final = "transformers-zero-shot:"
TOWERS: Final = {"CLIPModel": "clip", "SiglipModel": "siglip", "MetaClip2Model": "metaclip_2", "ChineseCLIPModel": "chinese_clip", "AltCLIPModel": "altclip"}
"""Model type by class of those that have an image tower for images of one size."""
TOKENIZER_FILES: Final = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "added_tokens.json",
]
_VOCABULARIES: Final = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
_OURS: Final = (CLASSES, PROMPTS, FOLDER, "num_classes")


@final
class _ImageTower(nn.Module):
    """Images to features: the vision model's pooled output, projected where the model has a projection."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = getattr(model, "visual_projection", nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(B, D)`` of normalised images ``(B, 3, H, W)``."""
        projected: Tensor = self.visual_projection(self.vision_model(pixel_values=images).pooler_output)
        return projected


@final
@dataclass(frozen=True)
class _Text(TextTower):
    """Args: class of the model, its configuration as JSON (so that it can be compared), and the folder of its tokenizer."""

    name: str
    config: str
    folder: str

    def open(self, tensors: Mapping[str, Tensor]) -> Towers:
        model = self._model(tensors)
        image = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(("vision_model.", "visual_projection."))}
        bias = getattr(model, "logit_bias", None)
        return Towers(image, float(model.logit_scale.detach().exp()), 0.0 if bias is None else float(bias.detach()), partial(self._encode, model))

    def _encode(self, model: Any, texts: Sequence[str]) -> Tensor:
        length = model.config.text_config.max_position_embeddings
        # SigLIP was trained on texts of full length, whose padding it sees.
        padding = "max_length" if self.name.startswith("Siglip") else True
        with quietly():
            tokens = self._tokenizer()(list(texts), return_tensors="pt", truncation=True, max_length=length, padding=padding)
        made = model.float().get_text_features(**{key: value for key, value in tokens.items() if key in ("input_ids", "attention_mask")})
        features: Tensor = made if isinstance(made, Tensor) else made.pooler_output
        return features

    def identity(self) -> str:
        import transformers

        sha = hashlib.sha256(f"{transformers.__version__} {self.name} {self.config}".encode())
        for file in sorted(TOKENIZER_FILES):
            if is_file(path := Path(self.folder) / file):
                sha.update(file.encode() + b"\0" + path.read_bytes())
        return sha.hexdigest()

    def _model(self, tensors: Mapping[str, Tensor]) -> Any:
        import transformers

        config = config_class(TOWERS[self.name])(**json.loads(self.config))
        with quietly(), torch.random.fork_rng(devices=[]):
            model, told = getattr(transformers, self.name).from_pretrained(
                None, config=config, state_dict=dict(tensors), output_loading_info=True, dtype="auto"
            )
        if told["missing_keys"] or told["unexpected_keys"]:
            wrong = sorted(told["missing_keys"] or told["unexpected_keys"])
            message = f"the weights do not fit {self.name}: {len(wrong)} tensors {'missing' if told['missing_keys'] else 'unexpected'} ({', '.join(wrong[:3])})"
            raise CheckpointError("weights-mismatch", message, "give the weights that belong to its config.json")
        return model.eval()

    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        if not any(is_file(Path(self.folder) / name) for name in _VOCABULARIES):
            # The library would take an empty one.
            message = f"{self.folder or 'nowhere'} holds no tokenizer ({', '.join(_VOCABULARIES)})"
            raise CheckpointError("no-tokenizer", message, "put the tokenizer's files beside the weights: tokenizer.save_pretrained(folder)")
        try:
            return AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # All that is called is the library's, with files that came from outside.
            message = f"the tokenizer in {self.folder} can't be read ({reason(error, 160)})"
            raise CheckpointError("no-tokenizer", message, "put the tokenizer's files beside the weights: tokenizer.save_pretrained(folder)") from error


@final
class TransformersZeroShotLibrary(OfTransformers):
    """transformers' models of images and texts: classes are compared by their names."""

    @property
    def prefix(self) -> str:
        return PREFIX

    def model_type(self, name: str) -> str:
        return TOWERS.get(name, "")

    def require(self, architecture: str) -> None:
        require_transformers("an architecture of transformers")
        if architecture.removeprefix(PREFIX) not in TOWERS:
            raise CheckpointError("unknown-architecture", f"{architecture} is no zero-shot classifier", f"known are {', '.join(TOWERS)}")

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        import transformers

        name = architecture.removeprefix(PREFIX)
        labels = labels_from(architecture, arguments)
        fields = arguments_from({key: value for key, value in arguments.items() if key not in _OURS}, TOWERS[name])
        with quietly():
            model = getattr(transformers, name)(config_class(TOWERS[name])(**fields))
        image = _ImageTower(model)
        width = image.visual_projection.out_features if isinstance(image.visual_projection, nn.Linear) else int(model.config.vision_config.hidden_size)
        text = _Text(name, json.dumps(fields, sort_keys=True), str(arguments.get(FOLDER) or ""))
        return ZeroShotClassifier(image, width, labels, text)

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        size = self.usual_size(architecture)
        return {} if size is None else {"input_size": (3, *size)}
