import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from little_vit import ARCHITECTURE, ARGUMENTS, fails, little_network, write_weights
from torch import Tensor, nn

from efficient360.core.parsing import parse_yaml
from efficient360.models.architectures import default_config, skeleton
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.fingerprints import TABLE, fingerprint, known_architectures
from efficient360.models.fitting import classifiers
from efficient360.models.guessing import argument_text, foreign, guesses
from efficient360.models.references import resolve
from efficient360.models.selection import shapes_of


@pytest.mark.parametrize(("value", "text"), [("avg", "avg"), ("N", "N"), ("12", '"12"'), ("[a", '"[a"'), (12, "12"), ((1, 2), "[1,2]")])
def test_an_argument_of_an_offered_command_is_read_as_what_it_is(value: Any, text: str) -> None:
    assert argument_text(value) == text
    assert parse_yaml(text) == (list(value) if isinstance(value, tuple) else value)


def _state(architecture: str, **arguments: Any) -> dict[str, Tensor]:
    return skeleton(architecture, {"num_classes": 7, **arguments}).state_dict()


@pytest.mark.parametrize(
    "architecture",
    [
        "vit_small_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "deit3_small_patch16_224",
        "swin_tiny_patch4_window7_224",
        "swinv2_tiny_window8_256",
        "convnext_tiny",
        "beit_base_patch16_224",
        "mobilevit_s",
        "levit_128s",
        "maxvit_tiny_tf_224",
        "efficientformer_l1",
        "coat_tiny",
        "cait_xxs24_224",
        "pvt_v2_b0",
        "fastvit_t8",
        "edgenext_small",
        "resnet18",
    ],
)
@pytest.mark.parametrize("prefix", ["", "model.backbone."])
def test_an_architecture_is_known_by_its_tensors(architecture: str, prefix: str) -> None:
    tensors = {prefix + name: tensor for name, tensor in _state(architecture).items()}
    guess = guesses({"state_dict": tensors, "epoch": 3})[0]
    assert architecture in (guess.architecture, *guess.alike)
    assert (guess.classes, guess.arguments) == (7, {})
    assert guess.key == "/".join(part for part in ("state_dict", prefix.rstrip(".")) if part)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 4, "embed_dim": 128, "depth": 6, "num_heads": 4, "mlp_ratio": 2.0}),
        ("vit_small_patch16_224", {"img_size": 96}),
        ("deit_tiny_distilled_patch16_224", {"img_size": 64, "patch_size": 8, "depth": 3}),
        ("convnext_tiny", {"depths": (1, 1, 3, 1), "dims": (24, 48, 96, 192)}),
        ("swin_tiny_patch4_window7_224", {"img_size": 128, "window_size": 4, "embed_dim": 48, "depths": (2, 2, 2, 2), "num_heads": (2, 4, 8, 16)}),
    ],
)
def test_an_architecture_of_another_size_is_read_off_its_shapes(architecture: str, arguments: dict[str, Any]) -> None:
    tensors = _state(architecture, **arguments)
    guess = guesses(tensors)[0]
    given = {**guess.arguments, "num_classes": 7} | ({"num_heads": 1} if "num_heads" in guess.untold else {})
    assert shapes_of(
        skeleton(guess.architecture, {**given, **({"img_size": arguments["img_size"]} if "img_size" in guess.untold else {})}).state_dict()
    ) == shapes_of(tensors)
    assert ("num_heads" in guess.untold) == (("vit" in architecture and "depth" in arguments) or "deit" in architecture)


def test_a_bare_file_is_offered_what_it_looks_like_and_that_works(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "w.safetensors")
    error = fails(str(path), "architecture-unknown", "looks like vit_tiny_patch16_224", "with 6 classes", "num_heads", "efficient360 inspect")
    options = error.hint.partition("num_heads=N")[0].partition(": --arch ")[2].split()
    arguments = dict(part.split("=") for part in options if "=" in part)
    found = resolve(CheckpointSpec(str(path), options[0], {**{key: int(value) for key, value in arguments.items()}, "num_heads": 3}))
    assert found.num_classes == 6


def test_another_architecture_than_the_one_named_is_offered(tmp_path: Path) -> None:
    fails(CheckpointSpec(str(write_weights(tmp_path / "w.safetensors")), "resnet18"), "wrong-architecture", "looks like vit_tiny_patch16_224")


def test_a_distilled_checkpoint_is_offered_with_its_name(tmp_path: Path) -> None:
    torch.save({"model": timm.create_model("deit_tiny_distilled_patch16_224", num_classes=3).state_dict()}, tmp_path / "w.pth")
    fails(CheckpointSpec(str(tmp_path / "w.pth"), "deit_tiny_patch16_224"), "weights-mismatch", "--arch deit_tiny_distilled_patch16_224")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["vit.embeddings.patch_embeddings.projection.weight", "classifier.weight"], "transformers"),
        (["swin.encoder.layers.0.blocks.0.layernorm_before.weight"], "transformers"),
        (["layers.0.self_attn.in_proj_weight", "head.weight"], "nn.TransformerEncoder"),
        (["to_patch_embedding.1.weight", "transformer.layers.0.0.to_qkv.weight"], "vit-pytorch"),
        (["visual.conv1.weight", "text_projection"], "CLIP"),
    ],
)
def test_names_of_others_say_whose_they_are(names: list[str], said: str) -> None:
    told = foreign({"state_dict": dict.fromkeys(names, torch.ones(2, 2))})
    assert told is not None
    assert said in told[0]
    assert guesses({"state_dict": dict.fromkeys(names, torch.ones(2, 2))}) == ()


def test_networks_for_self_supervised_training_have_no_classifier(tmp_path: Path) -> None:
    tensors = {**{k: v for k, v in little_network().state_dict().items() if not k.startswith("head")}, "head.mlp.0.weight": torch.ones(8, 24)}
    torch.save({"teacher": {f"backbone.{k}": v for k, v in tensors.items()}, "student": tensors}, tmp_path / "w.pth")
    error = fails(str(tmp_path / "w.pth"), "architecture-unknown")
    assert "without a classifier" in error.hint


def test_nothing_is_guessed_from_nothing() -> None:
    assert guesses({}) == guesses({"a": torch.ones(2)}) == guesses({"model": nn.Linear(2, 2).state_dict()}) == ()
    assert foreign({"a": torch.ones(2)}) is None


@pytest.mark.parametrize("index", range(0, 1400, 233))
def test_the_table_is_that_of_the_installed_timm(index: int) -> None:
    if json.loads(TABLE.read_text())["made_with"]["timm"] != timm.__version__:
        pytest.skip("the table was made with another version of timm: run scripts/fingerprint_architectures.py")
    known = [known for known in known_architectures() if ":" not in known.name][index % 1300]
    named = classifiers(default_config(known.name)) or ("head",)
    assert fingerprint(shapes_of(skeleton(known.name, {}).state_dict()), named) == known.fingerprint


def test_little_arguments_are_those_of_the_card() -> None:
    guess = guesses(little_network().state_dict())[0]
    assert guess.architecture == ARCHITECTURE
    assert guess.arguments == {key: ARGUMENTS[key] for key in ("img_size", "patch_size", "embed_dim", "depth")}
