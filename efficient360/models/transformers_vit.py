"""A Hugging Face ``transformers`` ViT or DeiT as a timm VisionTransformer: architecture, arguments, preprocessing and renamed weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, final

import torch
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter
from torch import Tensor

from efficient360.core.paths import exists
from efficient360.core.reading import Reader, in_words, shown
from efficient360.errors import CheckpointError
from efficient360.models.libraries.timm_library import NORM_EPS
from efficient360.models.sidecar import Number, Side, Sidecar, read_json

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


def _both(size: Any) -> Any:
    return [size, size] if isinstance(size, int) and not isinstance(size, bool) else size


def _by_number(labels: Any) -> Any:
    if not isinstance(labels, Mapping) or not all(str(key).isdecimal() for key in labels):
        raise ValueError('an object {"0": …, "1": …}')
    return {int(key): labels[key] for key in sorted(labels, key=int)}


_Width = Annotated[int, Field(strict=True, ge=1, le=2**20)]
_Positive = Annotated[Number, Field(gt=0)]
_Means = Annotated[tuple[Number, Number, Number], in_words("one number for each of three channels")]
_Deviations = Annotated[tuple[_Positive, _Positive, _Positive], in_words("one number above 0 for each of three channels")]


@final
class _Config(BaseModel):
    """The fields of ``config.json`` that the network is built by, with transformers' own defaults."""

    architectures: tuple[str, ...] | None = None
    num_channels: int = 3
    image_size: Annotated[tuple[Side, Side], BeforeValidator(_both)] = (224, 224)
    patch_size: _Width = 16
    hidden_size: _Width = 768
    intermediate_size: _Width = 3072
    num_hidden_layers: _Width = 12
    num_attention_heads: _Width = 12
    layer_norm_eps: Annotated[Number, Field(ge=0)] = 1e-12
    qkv_bias: bool = True
    hidden_act: str = "gelu"
    id2label: Annotated[dict[int, str], BeforeValidator(_by_number)] = {}


@final
class _Resized(BaseModel):
    """To which size the processor resizes."""

    height: Side | None = None
    shortest_edge: Side | None = None


def _resized(size: Any) -> Any:
    """Older files give one number, which ViT's processor reads as both sides."""
    return {"height": size} if isinstance(size, int) and not isinstance(size, bool) else size


@final
class _Processor(BaseModel):
    """The fields of ``preprocessor_config.json`` that pixels depend on, with the defaults of ``ViTImageProcessor``."""

    do_rescale: bool = True
    rescale_factor: Number = 1 / 255
    resample: Annotated[int, Field(ge=0, le=5)] = 2
    do_normalize: bool | None = True
    image_mean: _Means = _STANDARD
    image_std: _Deviations = _STANDARD
    size: Annotated[_Resized, BeforeValidator(_resized)] | None = None
    do_center_crop: bool | None = False


_CONFIG: Final = TypeAdapter(_Config)
_PROCESSOR: Final = TypeAdapter(_Processor)
_READER: Final = Reader(CheckpointError, "transformers-setting", "correct the file")


def transformers_sidecar(config: Mapping[str, Any], origin: Path) -> Sidecar:
    """Architecture, arguments and preprocessing of a ``transformers`` configuration.

    Args:
        config: What ``config.json`` holds.
        origin: That file; ``preprocessor_config.json`` is looked for beside it.

    Raises:
        CheckpointError: Another type of model, no image classification head, or a setting that timm's VisionTransformer does not have.
    """
    if (kind := config.get("model_type")) not in MODEL_TYPES:
        told = kind if isinstance(kind, str) else shown(kind)
        raise CheckpointError(
            "transformers-model-type",
            f"{origin} is a transformers {told} model, which can't be mapped to timm; {' and '.join(MODEL_TYPES)} can",
            "use its timm counterpart where there is one",
        )
    read = _READER.validate(_CONFIG, config, origin)
    head = _head(read, origin)
    if read.num_channels != 3:
        raise CheckpointError("not-rgb", f"{origin}: the model takes images of {read.num_channels} channels", "only RGB models are evaluated")
    high, wide = read.image_size
    names = tuple(read.id2label.values())
    arguments: dict[str, Any] = {
        "img_size": high if high == wide else [high, wide],
        "patch_size": read.patch_size,
        "embed_dim": read.hidden_size,
        "depth": read.num_hidden_layers,
        "num_heads": read.num_attention_heads,
        "mlp_ratio": _ratio(read.intermediate_size, read.hidden_size),
        "qkv_bias": read.qkv_bias,
        NORM_EPS: float(read.layer_norm_eps),
        "num_classes": len(names) or 2,
    }
    activation = _ACTIVATIONS[read.hidden_act]
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


def _head(config: _Config, origin: Path) -> str:
    head = config.architectures[0] if config.architectures else ""
    if head not in _HEADS:
        raise CheckpointError(
            "no-classifier", f"{origin} is a {head or 'model without an architecture'}, not an image classifier", f"give one of {', '.join(_HEADS)}"
        )
    if config.hidden_act not in _ACTIVATIONS:
        raise CheckpointError(
            "transformers-setting", f"{origin} uses the activation {config.hidden_act!r}, which is not mapped", f"mapped are {', '.join(_ACTIVATIONS)}"
        )
    return head


def _ratio(inner: int, width: int) -> float:
    """A ratio that timm, which truncates ``int(width * ratio)``, turns back into exactly ``inner``."""
    ratio = inner / width
    return ratio if int(width * ratio) == inner else (inner + 0.5) / width


def _preprocessing(folder: Path, input_size: tuple[int, int, int]) -> tuple[dict[str, Any], str]:
    """The data configuration, in timm's terms, of a folder's ``preprocessor_config.json``, and where it is from.

    Args:
        folder: The model's folder; without the file, the defaults of ``ViTImageProcessor`` hold.
        input_size: ``(3, H, W)`` that the model takes.

    Raises:
        CheckpointError: A setting is malformed or has no counterpart.
    """
    path = folder / PROCESSOR
    if not exists(path):
        return _timm_preprocessing({}, path, input_size), f"transformers' defaults, for there is no {PROCESSOR}"
    return _timm_preprocessing(read_json(path), path, input_size), PROCESSOR


def _timm_preprocessing(data: Mapping[str, Any], path: Path, input_size: tuple[int, int, int]) -> dict[str, Any]:
    config = _READER.validate(_PROCESSOR, data, path)
    if abs(config.rescale_factor - 1 / 255) > 1e-9 or not config.do_rescale:
        raise CheckpointError(
            "transformers-setting",
            f"{path} scales pixels by {config.rescale_factor} instead of 1/255",
            "write a sidecar model.json with mean and std for pixels in [0, 1]",
        )
    mean, std = (config.image_mean, config.image_std) if config.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    return {"input_size": input_size, "mean": mean, "std": std, "interpolation": _RESAMPLING[config.resample], **_crop(config, path, input_size[1])}


def _crop(config: _Processor, path: Path, height: int) -> dict[str, Any]:
    """Both sides given squash the image; the shortest edge keeps its shape; a centre crop cuts the model's size out of either."""
    size = _Resized(height=height) if config.size is None else config.size
    resized = size.height if size.shortest_edge is None else size.shortest_edge
    if resized is None:
        raise _READER.refuse(path, ': size has neither "height" nor "shortest_edge"')
    kept = height if config.do_center_crop else resized
    if kept * 10 < resized:
        raise _READER.refuse(path, f": images are resized to {resized} pixels, of which {kept} are kept")
    return {"crop_mode": "squash" if size.shortest_edge is None else "center", "crop_pct": min(1.0, kept / resized)}
