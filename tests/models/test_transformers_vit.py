import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

from efficient360.errors import CheckpointError
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 88,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 5,
}


def _saved(folder: Path, cls: Any, config: Any) -> Any:
    torch.manual_seed(3)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # The library starts biases, norms and tokens at constants, which would hide a wrong mapping.
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


CASES = [
    (ViTForImageClassification, ViTConfig, {}),
    (ViTForImageClassification, ViTConfig, {"qkv_bias": False}),
    (ViTForImageClassification, ViTConfig, {"layer_norm_eps": 0.1}),
    (ViTForImageClassification, ViTConfig, {"hidden_act": "quick_gelu"}),
    (ViTForImageClassification, ViTConfig, {"hidden_act": "gelu_new"}),
    (ViTForImageClassification, ViTConfig, {"hidden_act": "gelu_pytorch_tanh"}),
    (ViTForImageClassification, ViTConfig, {"hidden_act": "relu"}),
    (ViTForImageClassification, ViTConfig, {"hidden_act": "silu"}),
    (ViTForImageClassification, ViTConfig, {"hidden_size": 36, "intermediate_size": 103}),
    (DeiTForImageClassification, DeiTConfig, {}),
    (DeiTForImageClassificationWithTeacher, DeiTConfig, {}),
]


@pytest.mark.parametrize(("cls", "config", "changed"), CASES)
def test_logits_are_those_of_transformers(tmp_path: Path, cls: Any, config: Any, changed: dict[str, Any]) -> None:
    reference = _saved(tmp_path, cls, config(**{**TINY, **changed}))
    model = load_model(resolve(CheckpointSpec(str(tmp_path))))
    images = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = reference(pixel_values=(images - 0.5) / 0.5).logits
        found = model(images)
    assert found.shape == (3, 5)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_preprocessing_of_a_squashing_processor(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6], resample=3).save_pretrained(tmp_path)
    found = resolve(CheckpointSpec(str(tmp_path)))
    shape = found.preprocessing
    assert (shape.input_size, shape.mean, shape.std) == ((3, 32, 32), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (shape.interpolation, shape.crop_mode, shape.crop_pct) == ("bicubic", "squash", 1.0)
    assert found.card["preprocessing_source"] == "preprocessor_config.json"


def test_preprocessing_of_a_cropping_processor(tmp_path: Path) -> None:
    _saved(tmp_path, DeiTForImageClassification, DeiTConfig(**TINY))
    DeiTImageProcessor(size={"height": 40, "width": 40}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    shape = resolve(CheckpointSpec(str(tmp_path))).preprocessing
    assert (shape.crop_mode, shape.crop_pct, shape.input_size) == ("squash", 0.8, (3, 32, 32))


def test_preprocessing_of_a_shortest_edge_processor_without_normalisation(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}, "do_normalize": False, "resample": 2})
    )
    shape = resolve(CheckpointSpec(str(tmp_path))).preprocessing
    assert (shape.crop_mode, shape.crop_pct, shape.interpolation) == ("center", pytest.approx(0.8, abs=0.02), "bilinear")
    assert '"shortest_edge":40' in shape.processor
    assert (shape.mean, shape.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_without_a_processor_the_defaults_are_named(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    assert "transformers' defaults" in resolve(CheckpointSpec(str(tmp_path))).card["preprocessing_source"]


def test_class_names_come_from_id2label_in_numeric_order(tmp_path: Path) -> None:
    names = {index: f"class {index}" for index in range(12)}
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**{**TINY, "num_labels": 12}, id2label=names))
    assert resolve(CheckpointSpec(str(tmp_path))).class_names == tuple(names.values())


def test_placeholder_labels_are_no_class_names(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    assert resolve(CheckpointSpec(str(tmp_path))).class_names == ()


def test_position_embedding_is_resampled_on_request_as_transformers_never_does_alone(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    found = resolve(CheckpointSpec(str(tmp_path), arguments={"img_size": 64}))
    assert found.card["adapted"] == "position embedding resampled for 64 x 64 images"
    assert load_model(found)(torch.rand(1, 3, 64, 64)).shape == (1, 5)


def test_an_activation_that_timm_has_not_got_is_built_by_transformers(tmp_path: Path) -> None:
    reference = _saved(tmp_path, ViTForImageClassification, ViTConfig(**{**TINY, "hidden_act": "mish"}))
    found = resolve(CheckpointSpec(str(tmp_path)))
    assert found.architecture == "transformers:ViTForImageClassification"
    images = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(load_model(found)(images), reference((images - 0.5) / 0.5).logits, rtol=1e-5, atol=1e-5)


def test_a_scale_other_than_a_255th_is_kept(tmp_path: Path) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    ViTImageProcessor(size={"height": 32, "width": 32}, rescale_factor=1 / 127.5, image_mean=[1.0] * 3, image_std=[1.0] * 3).save_pretrained(tmp_path)
    shape = resolve(CheckpointSpec(str(tmp_path))).preprocessing
    assert (shape.mean, shape.std) == (pytest.approx((0.5,) * 3), pytest.approx((0.5,) * 3))


def test_a_model_without_classifier_is_refused(tmp_path: Path) -> None:
    ViTModel(ViTConfig(**TINY)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="ViTModel, not an image classifier") as caught:
        resolve(CheckpointSpec(str(tmp_path)))
    assert caught.value.code == "no-classifier"


@pytest.mark.parametrize(
    ("file", "changed", "said"),
    [
        ("config.json", {"num_channels": 1}, "channels"),
        ("preprocessor_config.json", {"rescale_factor": -1}, "rescale_factor is -1"),
        ("preprocessor_config.json", {"resample": 9}, "resample is 9"),
        ("preprocessor_config.json", {"size": "large"}, "size is 'large'"),
        ("preprocessor_config.json", {"image_mean": [0.5]}, "image_mean is"),
        ("config.json", {"hidden_size": "wide"}, "hidden_size is 'wide'"),
        ("config.json", {"id2label": ["a"]}, "id2label is"),
    ],
)
def test_settings_that_are_not_mapped_are_refused(tmp_path: Path, file: str, changed: dict[str, Any], said: str) -> None:
    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    path = tmp_path / file
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changed}))
    with pytest.raises(CheckpointError, match=said) as caught:
        resolve(CheckpointSpec(str(tmp_path)))
    assert caught.value.code in {"transformers-setting", "not-rgb"}


def test_a_torn_block_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    _saved(tmp_path, ViTForImageClassification, ViTConfig(**TINY))
    tensors = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("layer.1.attention.attention.key.weight"))
    del tensors[gone]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.attn\.qkv\.weight") as caught:
        resolve(CheckpointSpec(str(tmp_path)))
    assert caught.value.code == "weights-mismatch"
