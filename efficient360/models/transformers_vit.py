"""A Hugging Face ``transformers`` ViT or DeiT as a timm VisionTransformer: architecture, arguments, preprocessing and renamed weights."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from efficient360.errors import CheckpointError
from efficient360.models.architectures import NORM_EPS
from efficient360.models.sidecar import Sidecar, read_json

MODEL_TYPES = ("vit", "deit")
PROCESSOR = "preprocessor_config.json"
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""PIL's resampling filters by number."""
_STANDARD = (0.5, 0.5, 0.5)
_MARK = "embeddings.patch_embeddings.projection.weight"
_HEADS = {
    "ViTForImageClassification": "vit_base_patch16_224",
    "DeiTForImageClassification": "vit_base_patch16_224",
    "DeiTForImageClassificationWithTeacher": "deit_base_distilled_patch16_224",
}
_ACTIVATIONS = {"gelu": None, "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "quick_gelu": "quick_gelu", "relu": "relu", "silu": "silu"}
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


def transformers_sidecar(config: Mapping[str, Any], origin: Path) -> Sidecar:
    """Architecture, arguments and preprocessing of a ``transformers`` configuration.

    Args:
        config: What ``config.json`` holds.
        origin: That file; ``preprocessor_config.json`` is looked for beside it.

    Raises:
        CheckpointError: Another type of model, no image classification head, or a setting that timm's VisionTransformer does not have.
    """
    head = _head(config, origin)
    if config.get("num_channels", 3) != 3:
        raise CheckpointError("not-rgb", f"{origin}: the model takes images of {config['num_channels']} channels", "only RGB models are evaluated")
    width, inner = _whole(config, "hidden_size", 768, origin), _whole(config, "intermediate_size", 3072, origin)
    high, wide = _sides(config, origin)
    names = _labels(config, origin)
    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, int | float) or epsilon < 0:
        raise _wrong(origin, "layer_norm_eps", epsilon, "a small number")
    arguments: dict[str, Any] = {
        "img_size": high if high == wide else [high, wide],
        "patch_size": _whole(config, "patch_size", 16, origin),
        "embed_dim": width,
        "depth": _whole(config, "num_hidden_layers", 12, origin),
        "num_heads": _whole(config, "num_attention_heads", 12, origin),
        "mlp_ratio": _ratio(inner, width),
        "qkv_bias": bool(config.get("qkv_bias", True)),
        NORM_EPS: float(epsilon),
        "num_classes": len(names) or 2,
    }
    activation = _ACTIVATIONS[config.get("hidden_act", "gelu")]
    if activation:
        arguments["act_layer"] = activation
    if head == "DeiTForImageClassification":
        # Its distillation token takes part in attention but feeds no head: to timm that is a register token.
        arguments["reg_tokens"] = 1
    preprocessing, preprocessing_source = _preprocessing(origin.parent, (3, high, wide))
    placeholder = all(name == f"LABEL_{index}" for index, name in enumerate(names))
    return Sidecar(
        architecture=_HEADS[head],
        arguments=arguments,
        preprocessing=preprocessing,
        num_classes=arguments["num_classes"],
        class_names=() if placeholder else names,
        card={"format": f"transformers {head}", "preprocessing_source": preprocessing_source},
        assumed=() if preprocessing_source == PROCESSOR else ("mean", "std", "interpolation", "crop_pct"),
    )


def is_transformers(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors carry the names of a ``transformers`` ViT or DeiT."""
    return any(name.endswith(_MARK) for name in tensors)


def to_timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names, with query, key and value of each block fused into one ``qkv``.

    A pooler and a mask token, which classification never uses, are left out. Unknown names stay as they are.
    """
    renamed: dict[str, Tensor] = {}
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
                renamed[f"{_block(front)}.attn.qkv.{kind}"] = torch.cat(whole)
            continue
        renamed[_renamed(bare, distilled="distillation_classifier.weight" in tensors)] = tensors[name]
    return renamed


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
            "transformers-model-type",
            f"{origin} is a transformers {kind} model, which can't be mapped to timm; {' and '.join(MODEL_TYPES)} can",
            "use its timm counterpart where there is one",
        )
    if head not in _HEADS:
        raise CheckpointError(
            "no-classifier", f"{origin} is a {head or 'model without an architecture'}, not an image classifier", f"give one of {', '.join(_HEADS)}"
        )
    activation = config.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise CheckpointError(
            "transformers-setting", f"{origin} uses the activation {activation!r}, which is not mapped", f"mapped are {', '.join(_ACTIVATIONS)}"
        )
    return head


def _ratio(inner: int, width: int) -> float:
    """A ratio that timm, which truncates ``int(width * ratio)``, turns back into exactly ``inner``."""
    ratio = inner / width
    return ratio if int(width * ratio) == inner else (inner + 0.5) / width


def _whole(config: Mapping[str, Any], key: str, default: int, origin: Path) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _wrong(origin, key, value, "a whole number above 0")
    return value


def _sides(config: Mapping[str, Any], origin: Path) -> tuple[int, int]:
    size = config.get("image_size", 224)
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise _wrong(origin, "image_size", size, "a number of pixels")
    return int(sides[0]), int(sides[1])


def _labels(config: Mapping[str, Any], origin: Path) -> tuple[str, ...]:
    labels = config.get("id2label") or {}
    if not isinstance(labels, Mapping) or not all(str(key).isdecimal() for key in labels):
        raise _wrong(origin, "id2label", labels, 'an object {"0": …, "1": …}')
    return tuple(str(labels[key]) for key in sorted(labels, key=int))


def _preprocessing(folder: Path, input_size: tuple[int, int, int]) -> tuple[dict[str, Any], str]:
    """The data configuration, in timm's terms, of a folder's ``preprocessor_config.json``, and where it is from.

    Args:
        folder: The model's folder; without the file, the defaults of ``ViTImageProcessor`` hold.
        input_size: ``(3, H, W)`` that the model takes.

    Raises:
        CheckpointError: A setting is malformed or has no counterpart.
    """
    path = folder / PROCESSOR
    if not path.is_file():
        return _timm_preprocessing({}, path, input_size), f"transformers' defaults, for there is no {PROCESSOR}"
    return _timm_preprocessing(read_json(path), path, input_size), PROCESSOR


def _timm_preprocessing(config: Mapping[str, Any], path: Path, input_size: tuple[int, int, int]) -> dict[str, Any]:
    factor = config.get("rescale_factor", 1 / 255)
    if not isinstance(factor, int | float) or abs(factor - 1 / 255) > 1e-9 or not config.get("do_rescale", True):
        raise CheckpointError(
            "transformers-setting", f"{path} scales pixels by {factor} instead of 1/255", "write a sidecar model.json with mean and std for pixels in [0, 1]"
        )
    filter_number = config.get("resample", 2)
    if filter_number not in _RESAMPLING:
        raise _wrong(path, "resample", filter_number, f"one of PIL's filters, {', '.join(str(n) for n in _RESAMPLING)},")
    normalised = bool(config.get("do_normalize", True))
    mean, std = (config.get("image_mean", _STANDARD), config.get("image_std", _STANDARD)) if normalised else ((0.0,) * 3, (1.0,) * 3)
    for key, values in (("image_mean", mean), ("image_std", std)):
        numbers = isinstance(values, list | tuple) and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
        if not numbers or len(values) != 3 or (key == "image_std" and min(values) <= 0):
            raise _wrong(path, key, values, "one number for each of three channels")
    return {
        "input_size": input_size,
        "mean": tuple(float(v) for v in mean),
        "std": tuple(float(v) for v in std),
        "interpolation": _RESAMPLING[filter_number],
        **_crop(config, path, input_size[1]),
    }


def _crop(config: Mapping[str, Any], path: Path, height: int) -> dict[str, Any]:
    """Both sides given squash the image; the shortest edge keeps its shape; a centre crop cuts the model's size out of either."""
    size = config.get("size", height)
    # Older files give one number, which ViT's processor reads as both sides.
    sides: Mapping[str, Any] = {"height": size} if isinstance(size, int) else size if isinstance(size, Mapping) else {}
    shortest = sides.get("shortest_edge")
    resized = shortest if shortest is not None else sides.get("height")
    if not isinstance(resized, int) or resized < 1:
        raise _wrong(path, "size", size, 'pixels, {"height": …, "width": …} or {"shortest_edge": …}')
    kept = height if config.get("do_center_crop") else resized
    return {"crop_mode": "squash" if shortest is None else "center", "crop_pct": min(1.0, kept / resized)}


def _wrong(origin: Path, key: str, value: Any, wanted: str) -> CheckpointError:
    return CheckpointError("transformers-setting", f"{origin}: {key} is {value!r}, where {wanted} is wanted", "correct the file")
