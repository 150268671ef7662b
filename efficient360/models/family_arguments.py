"""The arguments of an architecture of a known family, read off the shapes of its tensors: ViT, Swin, ConvNeXt."""

import math
import re
from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]


def arguments_of(shapes: Shapes, architecture: str) -> dict[str, Any] | None:
    """Arguments with which the architecture has tensors of these shapes, as far as its family is known; ``None`` where it isn't.

    Args:
        shapes: Shape by the architecture's own names.
        architecture: Name of an architecture of the same family.
    """
    try:
        return _arguments(shapes, architecture)
    except (KeyError, IndexError):  # a relative without one of the tensors
        return None


def _arguments(shapes: Shapes, architecture: str) -> dict[str, Any] | None:
    if "conv_proj.weight" in shapes and architecture.startswith("torchvision:vit"):
        return _torchvision_vit(shapes)
    if "patch_embed.proj.weight" in shapes and "pos_embed" in shapes and any(name.startswith("blocks.0.") for name in shapes):
        return _vit(shapes)
    if "layers.0.blocks.0.attn.relative_position_bias_table" in shapes:
        return _swin(shapes)
    if "stages.0.blocks.0.conv_dw.weight" in shapes:
        return _convnext(shapes)
    return None


def _vit(shapes: Shapes) -> dict[str, Any] | None:
    patches, positions = shapes["patch_embed.proj.weight"], shapes["pos_embed"]
    if len(patches) != 4 or len(positions) != 3:
        return None
    width, patch = patches[0], patches[-1]
    prefix = sum(shapes[name][1] for name in ("cls_token", "dist_token", "reg_token") if len(shapes.get(name, ())) == 3)
    side = next((math.isqrt(n) for n in (positions[1] - prefix, positions[1]) if n > 0 and math.isqrt(n) ** 2 == n), 0)
    if not side:
        return None
    inner = shapes.get("blocks.0.mlp.fc1.weight", (4 * width,))[0]
    ratio = {} if inner == 4 * width else {"mlp_ratio": inner / width}
    size = {"img_size": side * patch, "patch_size": patch, "embed_dim": width, "depth": _count(shapes, r"blocks\.(\d+)\.")}
    return {**size, **ratio, "num_heads": _usual_heads(width)}


def _swin(shapes: Shapes) -> dict[str, Any] | None:
    patches = shapes.get("patch_embed.proj.weight", ())
    if len(patches) != 4:
        return None
    stages = range(_count(shapes, r"layers\.(\d+)\."))
    tables = [shapes[f"layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in stages]
    window = (math.isqrt(tables[0][0]) + 1) // 2
    depths = [_count(shapes, rf"layers\.{i}\.blocks\.(\d+)\.") for i in stages]
    told = {"embed_dim": patches[0], "depths": depths, "num_heads": [heads for _, heads in tables], "window_size": window}
    # A window as large as the last stage's feature map, each stage having half the side of the one before.
    return {"img_size": window * patches[-1] * 2 ** (len(depths) - 1), "patch_size": patches[-1], **told}


def _convnext(shapes: Shapes) -> dict[str, Any] | None:
    stages = range(_count(shapes, r"stages\.(\d+)\."))
    dims = [shapes[f"stages.{i}.blocks.0.conv_dw.weight"][0] for i in stages]
    stem = shapes.get("stem.0.weight", (0, 0, 4, 4))
    told = {"depths": [_count(shapes, rf"stages\.{i}\.blocks\.(\d+)\.") for i in stages], "dims": dims}
    return told | ({} if stem[-1] == 4 else {"patch_size": stem[-1]})


def _torchvision_vit(shapes: Shapes) -> dict[str, Any] | None:
    patches, positions = shapes["conv_proj.weight"], shapes.get("encoder.pos_embedding", (1, 0, 0))
    side = math.isqrt(max(positions[1] - 1, 0))
    return {"image_size": side * patches[-1]} if side and side * side == positions[1] - 1 else None


def _count(shapes: Shapes, pattern: str) -> int:
    return len({match[1] for name in shapes if (match := re.match(pattern, name))})


def _usual_heads(width: int) -> int:
    """How many heads a width usually has: 64 numbers each, or 32, or one head."""
    return next((width // size for size in (64, 32) if width % size == 0), 1)


def untold(shapes: Shapes, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments that change what a network computes, but none of its shapes: each with what is usual.

    Args:
        shapes: Shape by the architecture's own names.
        arguments: Of :func:`arguments_of`, or some of them.
    """
    told = {}
    if isinstance(arguments.get("num_heads"), int):
        width = shapes["patch_embed.proj.weight"][0]
        usual = " or ".join(f"{width // size} (of {size} numbers each)" for size in (64, 32) if width % size == 0)
        told["num_heads"] = f"{f'{usual} would be usual' if usual else f'it divides {width}'}; its training script says it"
    if "img_size" in arguments and "layers.0.blocks.0.attn.relative_position_bias_table" in shapes:
        told["img_size"] = f"that of its training, {arguments['img_size']} or a multiple of it"
    return told
