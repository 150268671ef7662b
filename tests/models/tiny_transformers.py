"""Tiny classifiers of each architecture of transformers, as the library itself writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

NAMES = ("cat", "dog", "emu", "fox", "gnu")


@dataclass(frozen=True)
class Tiny:
    """A configuration of an architecture that is small.

    Args:
        name: Class of the classifier.
        config: Class of its configuration.
        settings: What the configuration is made with.
        size: Side of its images.
        processor: Class and settings of its image processor; empty settings for a square of that side.
    """

    name: str
    config: str
    settings: Mapping[str, Any]
    size: int = 32
    processor: str = "ViTImageProcessor"
    processing: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """The classifier with seeded weights, none of them a constant, which would hide a wrong mapping."""
        torch.manual_seed(3)
        config = getattr(transformers, self.config)(**self.settings, id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
        model: nn.Module = getattr(transformers, self.name)(config).eval()
        with torch.no_grad():
            for name, tensor in model.named_parameters():
                tensor.add_((0.3 if tensor.ndim < 2 or "token" in name else 0.1) * torch.randn_like(tensor))
            for name, buffer in model.named_buffers():
                if name.endswith("running_mean"):
                    buffer.normal_(0, 0.1)
        return model

    def image_processor(self) -> Any:
        """Its image processor."""
        settings = dict(self.processing) or {"size": {"height": self.size, "width": self.size}}
        return getattr(transformers, self.processor)(**settings)

    def save(self, folder: Path, **how: Any) -> Any:
        """Write classifier and processor as ``save_pretrained`` does, and return the classifier."""
        model = self.build()
        model.save_pretrained(folder, **how)
        self.image_processor().save_pretrained(folder)
        return model


_VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
_DINO: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}
_SWIN: dict[str, Any] = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4}
_TOWER: dict[str, Any] = {"text_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 64}}
_EDGE: dict[str, Any] = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}

TINY = (
    Tiny("ViTForImageClassification", "ViTConfig", _VIT),
    Tiny("DeiTForImageClassification", "DeiTConfig", _VIT, processor="DeiTImageProcessor", processing={"size": {"height": 36, "width": 36}, "crop_size": 32}),
    Tiny("DeiTForImageClassificationWithTeacher", "DeiTConfig", _VIT),
    Tiny("ViTMSNForImageClassification", "ViTMSNConfig", _VIT),
    Tiny("IJepaForImageClassification", "IJepaConfig", _VIT),
    Tiny(
        "BeitForImageClassification",
        "BeitConfig",
        {**_VIT, "use_relative_position_bias": True},
        processor="BeitImageProcessor",
        processing={"size": {"height": 36, "width": 36}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True},
    ),
    Tiny("Data2VecVisionForImageClassification", "Data2VecVisionConfig", {**_VIT, "use_relative_position_bias": True}, processor="BeitImageProcessor"),
    Tiny("SwinForImageClassification", "SwinConfig", _SWIN),
    Tiny("Swinv2ForImageClassification", "Swinv2Config", _SWIN),
    Tiny("DonutSwinForImageClassification", "DonutSwinConfig", _SWIN),
    Tiny("Dinov2ForImageClassification", "Dinov2Config", _DINO, processor="BitImageProcessor", processing=_EDGE),
    Tiny("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", _DINO, processor="BitImageProcessor", processing=_EDGE),
    Tiny(
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 64},
        64,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_pct": 0.875},
    ),
    Tiny(
        "ConvNextV2ForImageClassification",
        "ConvNextV2Config",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "image_size": 64},
        64,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_pct": 0.875},
    ),
    Tiny(
        "MobileViTForImageClassification",
        "MobileViTConfig",
        {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 40], "image_size": 64, "num_attention_heads": 2},
        64,
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "MobileViTV2ForImageClassification",
        "MobileViTV2Config",
        {"image_size": 64, "width_multiplier": 0.25},
        64,
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "PoolFormerForImageClassification",
        "PoolFormerConfig",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
        64,
        "PoolFormerImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "PvtForImageClassification",
        "PvtConfig",
        {"hidden_sizes": [8, 16, 20, 32], "depths": [1, 1, 1, 1], "num_labels": 5, "image_size": 64},
        64,
        "PvtImageProcessor",
    ),
    Tiny("PvtV2ForImageClassification", "PvtV2Config", {"hidden_sizes": [8, 16, 20, 32], "depths": [1, 1, 1, 1], "image_size": 64}, 64, "PvtImageProcessor"),
    Tiny("SegformerForImageClassification", "SegformerConfig", {"hidden_sizes": [8, 16, 20, 32], "depths": [1, 1, 1, 1]}, 64, "SegformerImageProcessor"),
    Tiny(
        "CvtForImageClassification",
        "CvtConfig",
        {"embed_dim": [8, 16, 24], "num_heads": [1, 2, 3], "depth": [1, 2, 3]},
        64,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}},
    ),
    Tiny(
        "LevitForImageClassification",
        "LevitConfig",
        {"image_size": 64, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
        64,
        "LevitImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "LevitForImageClassificationWithTeacher",
        "LevitConfig",
        {"image_size": 64, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
        64,
        "LevitImageProcessor",
        {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "HieraForImageClassification",
        "HieraConfig",
        {"embed_dim": 8, "image_size": [64, 64], "depths": [1, 1, 2, 1], "num_heads": [1, 1, 2, 4], "masked_unit_size": [8, 8]},
        64,
        "BitImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "FocalNetForImageClassification",
        "FocalNetConfig",
        {"image_size": 64, "embed_dim": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "focal_levels": [2, 2], "focal_windows": [3, 3]},
        64,
        "BitImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny("SwiftFormerForImageClassification", "SwiftFormerConfig", {"image_size": 64, "embed_dims": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}, 64),
    Tiny(
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        64,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}},
    ),
    Tiny(
        "RegNetForImageClassification",
        "RegNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 8},
        64,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 64}},
    ),
    Tiny(
        "BitForImageClassification",
        "BitConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_groups": 2},
        64,
        "BitImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "MobileNetV1ForImageClassification",
        "MobileNetV1Config",
        {"image_size": 64, "depth_multiplier": 0.25},
        64,
        "MobileNetV1ImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "MobileNetV2ForImageClassification",
        "MobileNetV2Config",
        {"image_size": 64, "depth_multiplier": 0.25},
        64,
        "MobileNetV2ImageProcessor",
        {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}},
    ),
    Tiny(
        "EfficientNetForImageClassification",
        "EfficientNetConfig",
        {
            "image_size": 64,
            "width_coefficient": 0.25,
            "depth_coefficient": 0.3,
            "hidden_dim": 320,
            "in_channels": [32, 16],
            "out_channels": [16, 24],
            "kernel_sizes": [3, 3],
            "strides": [1, 2],
            "num_block_repeats": [1, 1],
            "expand_ratios": [1, 6],
        },
        64,
        "EfficientNetImageProcessor",
        {"size": {"height": 64, "width": 64}, "rescale_offset": True},
    ),
    Tiny(
        "HGNetV2ForImageClassification",
        "HGNetV2Config",
        {
            "embedding_size": 8,
            "depths": [1, 1],
            "hidden_sizes": [16, 32],
            "stem_channels": [3, 8, 8],
            "stage_in_channels": [8, 16],
            "stage_mid_channels": [8, 8],
            "stage_out_channels": [16, 32],
            "stage_num_blocks": [1, 1],
            "stage_downsample": [False, True],
            "stage_downsample_strides": [2, 2],
            "stage_light_block": [False, True],
            "stage_kernel_size": [3, 5],
            "stage_numb_of_layers": [2, 2],
        },
        64,
    ),
    Tiny(
        "TextNetForImageClassification",
        "TextNetConfig",
        {
            "image_size": [64, 64],
            "stem_out_channels": 8,
            "hidden_sizes": [8, 8, 16, 16, 24],
            "conv_layer_kernel_sizes": [[[3, 3]], [[3, 3]], [[3, 3]], [[3, 3]]],
            "conv_layer_strides": [[2], [2], [2], [2]],
        },
        64,
    ),
    Tiny(
        "PerceiverForImageClassificationLearned",
        "PerceiverConfig",
        {
            "num_latents": 4,
            "d_latents": 16,
            "d_model": 16,
            "num_self_attends_per_block": 1,
            "num_self_attention_heads": 2,
            "num_cross_attention_heads": 1,
            "image_size": 32,
        },
        32,
        "PerceiverImageProcessor",
        {"size": {"height": 32, "width": 32}, "crop_size": {"height": 36, "width": 36}},
    ),
    Tiny("SiglipForImageClassification", "SiglipConfig", {**_TOWER, "vision_config": _VIT}, processor="SiglipImageProcessor"),
    Tiny("CLIPForImageClassification", "CLIPConfig", {**_TOWER, "vision_config": _VIT}, processor="CLIPImageProcessor", processing=_EDGE),
    Tiny("MetaClip2ForImageClassification", "MetaClip2Config", {**_TOWER, "vision_config": _VIT}, processor="CLIPImageProcessor", processing=_EDGE),
)
