from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from little_vit import fails
from seen_images import IMAGES, pixels_and_logits

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.libraries import zero_shot
from efficient360.models.libraries.zero_shot import labels_from
from efficient360.models.references import resolve
from tiny_zero_shot import CLASSES, save_open_clip, save_pair

TEXTS = [f"a photo of a {name}." for name in ("cat", "dog", "tench")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_logits_are_the_scaled_similarities_of_transformers(tmp_path: Path, kind: str) -> None:
    model = save_pair(tmp_path / "m", kind)
    processor, tokenizer = transformers.AutoImageProcessor.from_pretrained(tmp_path / "m"), transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    tokens = tokenizer(TEXTS, return_tensors="pt", padding=True if kind == "CLIP" else "max_length", max_length=16)
    given = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    pixels = processor(IMAGES, return_tensors="pt")["pixel_values"]
    ours, logits, checkpoint = pixels_and_logits(str(tmp_path / "m"), classes=list(CLASSES))
    torch.testing.assert_close(ours, pixels, rtol=0, atol=1.01 / 255 / min(checkpoint.preprocessing.std))
    with torch.inference_mode():
        expected = model(pixel_values=ours, **given).logits_per_image
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=2e-5)
    assert (checkpoint.class_names, checkpoint.num_classes) == (CLASSES, 3)


def test_logits_are_the_scaled_similarities_of_open_clip(tmp_path: Path) -> None:
    open_clip: Any = pytest.importorskip("open_clip")
    model = save_open_clip(tmp_path / "m")
    prepare = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'm'}")[2]
    ours, logits, _ = pixels_and_logits(str(tmp_path / "m"), classes=list(CLASSES))
    pixels = torch.stack([prepare(image) for image in IMAGES])
    torch.testing.assert_close(ours, pixels, rtol=0, atol=1e-5)
    with torch.inference_mode():
        image, text = model.encode_image(pixels, normalize=True), model.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS), normalize=True)
        expected = model.logit_scale.exp() * image @ text.T
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=2e-5)


def test_several_templates_are_averaged(tmp_path: Path) -> None:
    model = save_pair(tmp_path / "m", "CLIP")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    templates = ["a photo of a {}.", "this is the very small {}"]
    ours, logits, _ = pixels_and_logits(str(tmp_path / "m"), classes=["cat", "dog"], prompts=templates)
    rows = []
    with torch.inference_mode():
        for name in ("cat", "dog"):
            tokens = tokenizer([template.format(name) for template in templates], return_tensors="pt", padding=True)
            features = model.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output
            rows.append(torch.nn.functional.normalize(torch.nn.functional.normalize(features, dim=-1).mean(0), dim=-1))
        image = torch.nn.functional.normalize(model.get_image_features(ours).pooler_output, dim=-1)
        expected = model.logit_scale.exp() * image @ torch.stack(rows).T
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=2e-5)


def test_features_of_classes_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_pair(tmp_path / "m", "CLIP")
    calls = []
    compute = zero_shot._computed

    def counted(towers: Any, labels: Any) -> Any:
        calls.append(labels)
        return compute(towers, labels)

    monkeypatch.setattr(zero_shot, "_computed", counted)
    spec = CheckpointSpec(str(tmp_path / "m"), arguments={"classes": ["cat", "dog"]})
    first, second = load_model(resolve(spec)), load_model(resolve(spec))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(first(images), second(images))
    assert len(calls) == 1
    resolve(CheckpointSpec(str(tmp_path / "m"), arguments={"classes": ["cat", "fish"]}))
    resolve(CheckpointSpec(str(tmp_path / "m"), arguments={"classes": ["cat", "dog"], "prompts": "a {}"}))
    assert len(calls) == 3


def test_it_offers_features_and_a_linear_classifier(tmp_path: Path) -> None:
    save_pair(tmp_path / "m", "CLIP")
    model = load_model(resolve(CheckpointSpec(str(tmp_path / "m"), arguments={"classes": ["cat", "dog"]})))
    images = torch.rand(2, 3, 32, 32)
    features = model.features(images)
    assert features.shape == (2, 24)
    torch.testing.assert_close(model.classifier()(features), model(images))


def test_names_are_asked_for(tmp_path: Path) -> None:
    save_pair(tmp_path / "m", "CLIP")
    fails(str(tmp_path / "m"), "no-class-names", "--arch-arg 'classes=[cat, dog]'")


def test_a_folder_without_tokenizer(tmp_path: Path) -> None:
    save_pair(tmp_path / "m", "CLIP")
    for path in (tmp_path / "m").glob("*token*"):
        path.unlink()
    fails(CheckpointSpec(str(tmp_path / "m"), arguments={"classes": ["cat"]}), "no-tokenizer")


@pytest.mark.parametrize(
    "arguments",
    [
        {"classes": "cat"},
        {"classes": [1, 2]},
        {"classes": [" "]},
        {"classes": ["a"], "prompts": "no place"},
        {"classes": ["a"], "prompts": [3]},
        {"classes": ["a"], "prompts": 7},
    ],
)
def test_malformed_names_and_templates(tmp_path: Path, arguments: dict[str, Any]) -> None:
    save_pair(tmp_path / "m", "CLIP")
    fails(CheckpointSpec(str(tmp_path / "m"), arguments=arguments), "architecture-arguments")


def test_wordnet_ids_and_underscores_become_words() -> None:
    names = ["n01440764", "fire_truck", "n99999999", "great white shark, white shark"]
    assert labels_from("x", {"classes": names}).classes == ("tench", "fire truck", "n99999999", "great white shark")


def test_the_templates_of_the_clip_paper() -> None:
    pytest.importorskip("open_clip")
    labels = labels_from("x", {"classes": ["cat"], "prompts": "openai"})
    assert len(labels.texts()) == 80
    assert "a bad photo of a cat." in labels.texts()


def test_unknown_weights_and_models_of_open_clip() -> None:
    pytest.importorskip("open_clip")
    fails("open-clip:ViT-B-32/laion2b", "unknown-tag", "laion2b_s34b_b79k")
    fails("open-clip:ViT-B-33/openai", "unknown-architecture", "open-clip:ViT-B-32")
