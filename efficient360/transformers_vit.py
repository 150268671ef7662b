"""A Hugging Face ``transformers`` ViT or DeiT as a timm VisionTransformer: architecture, arguments and renamed weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.sidecar import Sidecar, read_json

MODEL_TYPES = ("vit", "deit")
_MARK = "embeddings.patch_embeddings.projection.weight"
_HEADS = {
    "ViTForImageClassification": "vit_base_patch16_224",
    "DeiTForImageClassification": "vit_base_patch16_224",
    "DeiTForImageClassificationWithTeacher": "deit_base_distilled_patch16_224",
}
_ACTIVATIONS = {"gelu": None, "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu", "relu": "relu", "silu": "silu"}
# PIL's resampling filters by number.
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_STANDARD = (0.5, 0.5, 0.5)
_RENAMED = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "classifier": "head",
    "cls_classifier": "head",
    "distillation_classifier": "head_dist",
}
_BLOCK = {
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}


def sidecar_of(config: Mapping[str, Any], origin: Path) -> Sidecar:
    """Architecture, arguments and preprocessing of a ``transformers`` configuration.

    Args:
        config: What ``config.json`` holds.
        origin: That file; ``preprocessor_config.json`` is looked for beside it.

    Raises:
        CheckpointError: Another type of model, no image classification head, or a setting timm's VisionTransformer hasn't got.
    """
    head = _head(config, origin)
    width, inner = int(config.get("hidden_size", 768)), int(config.get("intermediate_size", 3072))
    labels = config.get("id2label") or {}
    names = tuple(str(labels[key]) for key in sorted(labels, key=int))
    arguments: dict[str, Any] = {
        "img_size": config.get("image_size", 224),
        "patch_size": config.get("patch_size", 16),
        "embed_dim": width,
        "depth": config.get("num_hidden_layers", 12),
        "num_heads": config.get("num_attention_heads", 12),
        "mlp_ratio": _ratio(inner, width),
        "qkv_bias": config.get("qkv_bias", True),
        "layer_norm_eps": config.get("layer_norm_eps", 1e-12),
        "num_classes": len(names) or 2,
    }
    activation = _ACTIVATIONS[str(config.get("hidden_act", "gelu"))]
    if activation:
        arguments["act_layer"] = activation
    if head == "DeiTForImageClassification":
        # Its distillation token takes part in attention but feeds no head: to timm that is a register token.
        arguments["reg_tokens"] = 1
    size = arguments["img_size"]
    high, wide = (size, size) if isinstance(size, int) else size
    placeholder = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    preprocessing, told = _preprocessing(origin.parent / "preprocessor_config.json", (3, high, wide))
    return Sidecar(
        architecture=_HEADS[head], arguments=arguments, preprocessing=preprocessing, num_classes=arguments["num_classes"],
        class_names=() if placeholder else names, card={"format": f"transformers {head}", "preprocessing_source": told},
    )


def is_transformers(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors carry the names of a ``transformers`` ViT or DeiT."""
    return any(name.endswith(_MARK) for name in tensors)


def converted(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names, with query, key and value of each block fused into one ``qkv``.

    A pooler and a mask token, which classification never uses, are left out. Unknown names stay as they are.
    """
    found: dict[str, Tensor] = {}
    for name in sorted(tensors):
        bare = name.removeprefix("vit.").removeprefix("deit.")
        if bare.startswith("pooler.") or bare == "embeddings.mask_token":
            continue
        if ".attention.attention." in bare:
            front, _, last = bare.partition(".attention.attention.")
            if last.startswith("query."):
                kind = last.removeprefix("query.")
                parts = [tensors.get(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
                whole = [part for part in parts if part is not None]
                found[f"{_block(front)}.attn.qkv.{kind}"] = torch.cat(whole)
            continue
        found[_renamed(bare, distilled="distillation_classifier.weight" in tensors)] = tensors[name]
    return found


def _renamed(bare: str, distilled: bool) -> str:
    if bare == "embeddings.distillation_token":
        return "dist_token" if distilled else "reg_token"
    stem, _, kind = bare.rpartition(".")
    if bare in _RENAMED:
        return _RENAMED[bare]
    if stem in _RENAMED:
        return f"{_RENAMED[stem]}.{kind}"
    if stem.startswith("encoder.layer."):
        layer, rest = ".".join(stem.split(".")[:3]), ".".join(stem.split(".")[3:])
        return f"{_block(layer)}.{_BLOCK.get(rest, rest)}.{kind}"
    return bare


def _block(layer: str) -> str:
    return layer.replace("encoder.layer.", "blocks.")


def _head(config: Mapping[str, Any], origin: Path) -> str:
    kind = config.get("model_type")
    heads = config.get("architectures") or []
    head = str(heads[0]) if heads else ""
    if kind not in MODEL_TYPES:
        raise CheckpointError(
            "transformers-model-type", f"{origin} is a transformers {kind} model, which can't be mapped to timm; {' and '.join(MODEL_TYPES)} can",
            "use its timm counterpart where there is one",
        )
    if head not in _HEADS:
        raise CheckpointError(
            "no-classifier", f"{origin} is a {head or 'model without an architecture'}, not an image classifier", f"give one of {', '.join(_HEADS)}"
        )
    activation = config.get("hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise CheckpointError(
            "transformers-setting", f"{origin} uses the activation {activation!r}, which is not mapped", f"mapped are {', '.join(_ACTIVATIONS)}"
        )
    return head


def _ratio(inner: int, width: int) -> float:
    """A ratio that timm, which cuts ``int(width * ratio)``, turns back into exactly ``inner``."""
    ratio = inner / width
    return ratio if int(width * ratio) == inner else (inner + 0.5) / width


def _preprocessing(path: Path, input_size: tuple[int, int, int]) -> tuple[dict[str, Any], str]:
    found = read_json(path) if path.is_file() else {}
    told = path.name if found else f"transformers' defaults, for there is no {path.name}"
    factor = found.get("rescale_factor", 1 / 255)
    if not found.get("do_rescale", True) or abs(factor - 1 / 255) > 1e-9:
        raise CheckpointError(
            "transformers-setting", f"{path} scales pixels by {factor} instead of 1/255",
            "write a sidecar model.json with mean and std for pixels in [0, 1]",
        )
    normalise = found.get("do_normalize", True)
    said = {
        "input_size": input_size,
        "mean": tuple(found.get("image_mean", _STANDARD)) if normalise else (0.0, 0.0, 0.0),
        "std": tuple(found.get("image_std", _STANDARD)) if normalise else (1.0, 1.0, 1.0),
        "interpolation": _RESAMPLING[found.get("resample", 2)],
    }
    size = found.get("size", {"height": input_size[1], "width": input_size[2]})
    # Older files say one number: both sides for ViT.
    size = {"height": size, "width": size} if isinstance(size, int) else size
    shortest = size.get("shortest_edge")
    resized = shortest or size.get("height", input_size[1])
    cropped = input_size[1] if found.get("do_center_crop") else resized
    return said | {"crop_mode": "center" if shortest else "squash", "crop_pct": min(1.0, cropped / resized)}, told
