import json
from pathlib import Path
from typing import Any

import pytest
import torch
from little_vit import fails
from safetensors.torch import load_file, save_file
from seen_images import IMAGES, pixels_and_logits
from tiny_transformers import NAMES, TINY, Tiny
from transformers import ImageGPTConfig, ImageGPTForImageClassification, SwinModel

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

SWIN = next(tiny for tiny in TINY if tiny.name == "SwinForImageClassification")


@pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)
def test_pixels_and_logits_are_those_of_the_library(tmp_path: Path, tiny: Tiny) -> None:
    reference = tiny.save(tmp_path)
    theirs = tiny.image_processor()(IMAGES, return_tensors="pt")["pixel_values"]
    ours, logits, checkpoint = pixels_and_logits(str(tmp_path))
    if checkpoint.arguments.get("channel_order") == "bgr":
        ours = ours.flip(1)
    # ViT and DeiT go timm's way, through PIL: up to one level of 255 beside the library's tensors.
    level = 1e-5 if checkpoint.preprocessing.processor else 1.01 / 255 / min(checkpoint.preprocessing.std)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=level)
    with torch.inference_mode():
        expected = reference(ours).logits
    assert expected.std() > 0.01
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert checkpoint.class_names == NAMES
    assert not checkpoint.assumed


def _changed(folder: Path, file: str = "config.json", **fields: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_code_that_a_folder_brings_is_never_run(tmp_path: Path) -> None:
    SWIN.save(tmp_path)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Net: ...\n")
    references = {"AutoModelForImageClassification": "evil.Net", "AutoConfig": "evil.Net", "AutoImageProcessor": "evil.Net"}
    before = pixels_and_logits(str(tmp_path))[1]
    _changed(tmp_path, auto_map=references)
    _changed(tmp_path, "preprocessor_config.json", auto_map=references)
    torch.testing.assert_close(pixels_and_logits(str(tmp_path))[1], before)
    _changed(tmp_path, model_type="evil")
    fails(str(tmp_path), "transformers-model-type", "code that it names is not run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"depths": [1, 20_000]}, "architecture-oversized"),
        ({"embed_dim": 2**20}, "architecture-oversized"),
        ({"embed_dim": 10**9}, "architecture-oversized"),
        ({"depths": [1] * 5000}, "architecture-oversized"),
        ({"id2label": {str(i): "x" for i in range(3)}}, "class-count-mismatch"),
        ({"depths": "deep"}, "architecture-arguments"),
        ({"hidden_act": "evil.py"}, "architecture-arguments"),
        ({"num_channels": 1}, "not-rgb"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "weights-quantized"),
        ({"architectures": ["SwinForMaskedImageModeling"]}, "no-classifier"),
        ({"model_type": 5}, "transformers-setting"),
        ({"id2label": ["a"]}, "transformers-setting"),
    ],
)
def test_configurations_that_are_refused(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    SWIN.save(tmp_path)
    _changed(tmp_path, **fields)
    fails(str(tmp_path), code)


def test_fields_that_say_how_to_load_are_left_out(tmp_path: Path) -> None:
    SWIN.save(tmp_path)
    _changed(tmp_path, attn_implementation="kernels-community/evil", _attn_implementation="evil", torch_dtype="float16", fusion_config={"a": 1}, unheard_of=3)
    arguments = resolve(CheckpointSpec(str(tmp_path))).arguments
    assert not {"attn_implementation", "_attn_implementation", "torch_dtype", "fusion_config", "unheard_of"} & arguments.keys()


def test_a_classifier_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    config = ImageGPTConfig(n_embd=16, n_layer=1, n_head=2, vocab_size=9, n_positions=16, num_labels=3)
    ImageGPTForImageClassification(config).save_pretrained(tmp_path)
    fails(str(tmp_path), "transformers-not-images", "colours of a palette")


def test_a_base_model_without_a_head_is_refused(tmp_path: Path) -> None:
    SwinModel(SWIN.build().config).save_pretrained(tmp_path)
    fails(str(tmp_path), "no-classifier", "SwinModel")


def test_a_bare_file_with_an_architecture_by_name(tmp_path: Path) -> None:
    SWIN.save(tmp_path / "folder")
    save_file(load_file(tmp_path / "folder" / "model.safetensors"), tmp_path / "bare.safetensors")
    spec = CheckpointSpec(str(tmp_path / "bare.safetensors"), f"transformers:{SWIN.name}", {**SWIN.settings, "num_classes": 5})
    assert resolve(spec).preprocessing.input_size == (3, 32, 32)
    model = load_model(resolve(spec))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        expected = SWIN.build()(model.module.normalise(images)).logits
        torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-5)


def test_a_misspelt_class_is_answered_with_its_neighbour(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    fails(CheckpointSpec(str(tmp_path / "a.safetensors"), "transformers:SwinForImageClasification"), "unknown-architecture", "SwinForImageClassification")


def test_lacking_tensors_are_named(tmp_path: Path) -> None:
    SWIN.save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["swin.layernorm.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    fails(str(tmp_path), "weights-mismatch", "swin.layernorm.weight")


def test_random_weights_of_an_architecture_by_name() -> None:
    found = resolve(CheckpointSpec(f"transformers:{SWIN.name}", arguments={**SWIN.settings, "num_classes": 5}, random_weights=True))
    assert found.num_classes == 5
    assert load_model(found)(torch.rand(1, 3, 32, 32)).shape == (1, 5)


def test_without_a_processor_the_usual_one_of_the_type_is_assumed(tmp_path: Path) -> None:
    SWIN.save(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    found = resolve(CheckpointSpec(str(tmp_path)))
    assert found.preprocessing.input_size == (3, 32, 32)
    assert set(found.assumed) == {"mean", "std", "interpolation", "crop_pct"}
