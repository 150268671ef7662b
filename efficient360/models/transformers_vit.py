"""A Hugging Face ``transformers`` ViT or DeiT as a timm VisionTransformer: architecture, arguments, preprocessing and renamed weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, final

import torch
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter
from torch import Tensor

from efficient360.core.reading import Reader, in_words
from efficient360.errors import CheckpointError
from efficient360.models.image_processors import FILES, RESAMPLING, find_processor, preprocessing_from
from efficient360.models.libraries.timm_library import NORM_EPS
from efficient360.models.sidecar import Number, Side, Sidecar

MODEL_TYPES = ("vit", "deit")
PROCESSOR = "preprocessor_config.json"
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


def by_number(labels: Any) -> Any:
    """Class names as ``id2label`` has them, by whole numbers in order."""
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
    id2label: Annotated[dict[int, str], BeforeValidator(by_number)] = {}


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

    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    do_resize: bool | None = True
    do_pad: bool | None = None
    do_rescale: bool | None = True
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


def is_timm_vit(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` is of a network that timm's VisionTransformer is to the last operation."""
    activation, patch = config.get("hidden_act", "gelu"), config.get("patch_size", 16)
    known = not isinstance(activation, str) or activation in _ACTIVATIONS
    return config.get("model_type") in MODEL_TYPES and known and not isinstance(patch, list)


def timm_sidecar(config: Mapping[str, Any], origin: Path) -> Sidecar:
    """Architecture, arguments and preprocessing in timm's terms of a ``transformers`` configuration.

    Args:
        config: What ``config.json`` holds, of which :func:`is_timm_vit` holds.
        origin: That file; the processor's is looked for beside it.

    Raises:
        CheckpointError: No image classification head, or a malformed setting.
    """
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
    preprocessing, preprocessing_source = _preprocessing(origin, str(config["model_type"]), (3, high, wide))
    return Sidecar(
        architecture=_HEADS[head],
        arguments=arguments,
        preprocessing=preprocessing,
        num_classes=arguments["num_classes"],
        class_names=names_of(names),
        card={"format": f"transformers {head}", "preprocessing_source": preprocessing_source},
        assumed=() if preprocessing_source in FILES else ("mean", "std", "interpolation", "crop_pct"),
    )


def names_of(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The names of classes; empty where they are the placeholders that the library numbers its classes with."""
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(labels)) else labels


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


def _preprocessing(origin: Path, model_type: str, input_size: tuple[int, int, int]) -> tuple[dict[str, Any], str]:
    """The data configuration, in timm's terms, of the processor beside ``config.json``, and where it is from.

    Args:
        origin: The model's ``config.json``; without a processor's file, the defaults of ``ViTImageProcessor`` hold.
        model_type: ``vit`` or ``deit``.
        input_size: ``(3, H, W)`` that the model takes.

    Raises:
        CheckpointError: A setting is malformed or has no counterpart.
    """
    found = find_processor(origin.parent)
    if found is None:
        return _timm_preprocessing(_Processor(), origin, input_size), f"transformers' defaults, for there is no {PROCESSOR}"
    path, data = found
    config = _READER.validate(_PROCESSOR, data, path)
    if _is_plain(config, input_size):
        return _timm_preprocessing(config, path, input_size), path.name
    return preprocessing_from(data, path, model_type, input_size[1:]), path.name


def _is_plain(config: _Processor, input_size: tuple[int, int, int]) -> bool:
    """Whether timm's steps do the same as the processor to the pixel: it squashes images to a size, and cuts the model's out of their middle."""
    named = (config.image_processor_type or config.feature_extractor_type or "ViT").startswith(("ViT", "DeiT"))
    scaled = config.do_rescale is not False and abs(config.rescale_factor - 1 / 255) <= 1e-9
    size = config.size or _Resized()
    if not named or not scaled or config.do_resize is False or config.do_pad or size.shortest_edge is not None:
        return False
    # Where what is cut off has an odd number of pixels, the two place the middle differently.
    return not config.do_center_crop or (size.height is not None and size.height >= input_size[1] and (size.height - input_size[1]) % 2 == 0)


def _timm_preprocessing(config: _Processor, path: Path, input_size: tuple[int, int, int]) -> dict[str, Any]:
    mean, std = (config.image_mean, config.image_std) if config.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    return {"input_size": input_size, "mean": mean, "std": std, "interpolation": RESAMPLING[config.resample], **_crop(config, path, input_size[1])}


def _crop(config: _Processor, path: Path, height: int) -> dict[str, Any]:
    """Images are squashed to both sides given, of which a centre crop cuts the model's size."""
    resized = height if config.size is None else config.size.height
    if resized is None:
        raise _READER.refuse(path, ': size has neither "height" nor "shortest_edge"')
    kept = height if config.do_center_crop else resized
    if kept * 10 < resized:
        raise _READER.refuse(path, f": images are resized to {resized} pixels, of which {kept} are kept")
    return {"crop_mode": "squash", "crop_pct": min(1.0, kept / resized)}
