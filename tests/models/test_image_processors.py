from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from efficient360.datasets.images import transform_for
from efficient360.errors import CheckpointError, DatasetError
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.image_processors import find_processor, pixels_of, preprocessing_from

RNG = np.random.default_rng(1)
IMAGES = [Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)) for height, width in ((47, 61), (64, 64), (131, 77), (33, 90))]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("ViTImageProcessor", {"size": {"height": 32, "width": 48}}),
    ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 3, "rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}),
    ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "do_rescale": False, "image_mean": [120, 110, 100], "image_std": [60, 61, 62]}),
    ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "do_normalize": False}),
    ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "do_normalize": False, "do_rescale": False}),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 24}, "crop_size": {"height": 32, "width": 32}}),
    ("BitImageProcessor", {"do_resize": False, "crop_size": {"height": 32, "width": 32}}),
    ("DeiTImageProcessor", {"size": {"height": 37, "width": 37}, "crop_size": {"height": 32, "width": 32}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.9}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}, "crop_pct": 0.9}),
    ("LevitImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}),
    ("PerceiverImageProcessor", {"size": {"height": 32, "width": 32}, "crop_size": {"height": 36, "width": 36}}),
    ("PoolFormerImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 0.9, "crop_size": {"height": 32, "width": 32}}),
    ("EfficientNetImageProcessor", {"size": {"height": 32, "width": 32}, "rescale_offset": True, "include_top": True}),
    ("EfficientNetImageProcessor", {"size": {"height": 32, "width": 32}, "include_top": False}),
    ("SiglipImageProcessor", {"size": {"height": 32, "width": 32}}),
    ("DINOv3ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_pixels_are_those_of_the_processor(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    processor = getattr(transformers, name)(**settings)
    processor.save_pretrained(tmp_path)
    found = find_processor(tmp_path)
    assert found is not None
    described = preprocessing_from(found[1], found[0], "vit", None)
    order = described.pop("channel_order", "rgb")
    shape = Preprocessing(**described)
    transform = transform_for(shape)
    mean, std = torch.tensor(shape.mean).view(3, 1, 1), torch.tensor(shape.std).view(3, 1, 1)
    for image in IMAGES:
        theirs = torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"][0]).float()
        ours = (torch.from_numpy(transform(image).copy()).float() / 255 - mean) / std
        ours = ours.flip(0) if order == "bgr" else ours
        # DINOv3's scales before it resizes, without rounding to a level of 255.
        level = 1.01 / 255 / float(std.min()) if name.startswith("DINOv3") else 1e-5 * float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=level)


def _refused(data: dict[str, Any], image_size: tuple[int, int] | None = None) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        preprocessing_from(data, "the file", "vit", image_size)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        {"size": {"height": 10**6, "width": 10**6}},
        {"size": {"height": 2000, "width": 2000}, "crop_size": {"height": 1, "width": 1}},
        {"size": {"height": -1, "width": 3}},
        {"image_mean": [0.5]},
        {"image_std": [0, 1, 1]},
        {"resample": 9},
        {"rescale_factor": 0},
        {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 32}, "do_center_crop": False},
        {"do_resize": False, "do_center_crop": False},
        {"image_processor_type": "ImageGPTImageProcessor"},
        {"image_processor_type": "Siglip2ImageProcessor"},
    ],
)
def test_settings_that_are_refused(data: dict[str, Any]) -> None:
    assert _refused(data).code == "transformers-setting"


def test_a_class_that_the_library_has_not_got_is_refused() -> None:
    error = _refused({"image_processor_type": "MyImageProcessor", "auto_map": {"AutoImageProcessor": "mine.MyImageProcessor"}})
    assert error.code == "transformers-setting"
    assert "'MyImageProcessor'" in error.message


def test_the_folder_above_counts_for_a_trainers_checkpoint_alone(tmp_path: Path) -> None:
    transformers.ViTImageProcessor().save_pretrained(tmp_path)
    for name in ("checkpoint-90", "best"):
        (tmp_path / name).mkdir()
    assert find_processor(tmp_path / "checkpoint-90") is not None
    assert find_processor(tmp_path / "best") is None


def test_older_names_of_the_classes_are_known() -> None:
    described = preprocessing_from({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 64, "crop_pct": 0.875}, "the file", "convnext", None)
    assert (described["input_size"], '"ConvNextImageProcessor"' in described["processor"]) == ((3, 64, 64), True)


def test_a_processor_that_does_not_resize_wants_images_of_the_models_size() -> None:
    described = preprocessing_from({"do_resize": False}, "the file", "vit", (40, 48))
    transform = transform_for(Preprocessing(**described))
    assert transform(Image.new("RGB", (48, 40))).shape == (3, 40, 48)
    with pytest.raises(DatasetError) as caught:
        transform(Image.new("RGB", (40, 48)))
    assert caught.value.code == "image-size"


def test_a_processor_by_a_strangers_name_is_refused() -> None:
    with pytest.raises(CheckpointError) as caught:
        pixels_of('{"type": "pipeline", "settings": {}}')
    assert caught.value.code == "transformers-setting"
