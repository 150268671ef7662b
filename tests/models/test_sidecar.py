from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from little_vit import ARCHITECTURE, ARGUMENTS, CARD, fails, little_network, write_json, write_weights

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Origin
from efficient360.models.model import preflight
from efficient360.models.references import resolve
from efficient360.models.weights import digest


@pytest.mark.parametrize("beside", ["w.json", "model.json", "config.json"])
def test_our_sidecar_says_everything(tmp_path: Path, beside: str) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / beside, CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors")))
    assert (found.name, found.architecture, dict(found.arguments), found.origin) == ("tiny", ARCHITECTURE, ARGUMENTS, Origin.FILE)
    assert (found.path, found.digest) == (tmp_path / "w.safetensors", digest(little_network().state_dict()))
    assert (found.num_classes, found.class_names) == (6, tuple("abcdef"))
    shape = found.preprocessing
    assert (shape.input_size, shape.mean, shape.std) == ((3, 32, 32), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (shape.interpolation, shape.crop_pct, shape.crop_mode) == ("bilinear", 0.8, "squash")
    assert found.card["training"] == {"epochs": 1}
    assert found.card["preprocessing_source"] == "sidecar"
    assert found.trained


def test_the_stems_sidecar_goes_first(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", CARD)
    write_json(tmp_path / "model.json", {**CARD, "name": "other"})
    assert resolve(CheckpointSpec(str(tmp_path / "w.safetensors"))).name == "tiny"


def test_the_sidecar_of_a_double_suffix(tmp_path: Path) -> None:
    torch.save({"state_dict": little_network().state_dict()}, tmp_path / "w.pth.tar")
    write_json(tmp_path / "w.json", CARD)
    assert resolve(CheckpointSpec(str(tmp_path / "w.pth.tar"))).name == "tiny"


def test_arguments_may_be_called_so(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", {"architecture": ARCHITECTURE, "arguments": ARGUMENTS})
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors")))
    assert (found.preprocessing.input_size, found.num_classes) == ((3, 32, 32), 6)
    assert found.preprocessing.mean == (0.5, 0.5, 0.5)
    assert found.card["preprocessing_source"] == f"timm's defaults of {ARCHITECTURE}"


def test_timms_config(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors")
    inner = {"input_size": [3, 32, 32], "fixed_input_size": True, "mean": [0, 0, 0], "std": [1, 1, 1], "crop_pct": 0.9, "license": "mit", "custom_load": False}
    rest = {key: value for key, value in ARGUMENTS.items() if key not in {"img_size", "num_classes"}}
    config = {"architecture": ARCHITECTURE, "num_classes": 6, "model_args": rest, "pretrained_cfg": inner, "label_names": list("abcdef")}
    write_json(tmp_path / "config.json", config)
    found = resolve(CheckpointSpec(str(tmp_path)))
    assert (found.preprocessing.mean, found.preprocessing.std, found.preprocessing.crop_pct) == ((0, 0, 0), (1, 1, 1), 0.9)
    assert (found.num_classes, found.class_names, found.card["license"]) == (6, tuple("abcdef"), "mit")
    assert "custom_load" not in found.card
    preflight(load_model(found), seed=0)


def test_what_timm_itself_writes(tmp_path: Path) -> None:
    network = little_network()
    timm.models.save_for_hf(network, tmp_path, model_args=ARGUMENTS)
    found = resolve(CheckpointSpec(str(tmp_path)))
    images = torch.rand(2, 3, 32, 32)
    config = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(load_model(found)(images), network.eval()((images - mean) / std).detach())


def test_what_the_user_gives_goes_before_the_sidecar(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", {**CARD, "model_args": {**ARGUMENTS, "depth": 7}})
    assert resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), arguments={"depth": 2})).arguments["depth"] == 2


def test_a_stray_config_is_passed_over_and_the_number_of_classes_inferred(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "config.json", {"port": 80})
    arguments = {key: value for key, value in ARGUMENTS.items() if key != "num_classes"}
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), architecture=ARCHITECTURE, arguments=arguments))
    assert (found.num_classes, found.arguments["num_classes"]) == (6, 6)
    assert "port" not in found.card


# --- faults ---


def test_sizes_that_contradict_each_other(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", {**CARD, "input_size": [3, 40, 40]})
    fails(str(tmp_path / "w.safetensors"), "input-size-mismatch", "40 x 40", "32 x 32")


def test_class_names_that_do_not_match(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", {**CARD, "class_names": ["a", "b"]})
    fails(str(tmp_path / "w.safetensors"), "class-names-mismatch", "2 class names are given for 6 classes")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input_size": [32, 32]}, "input_size is [32, 32]"),
        ({"mean": [0.5, "x", 0.5]}, "mean is"),
        ({"mean": [float("nan")] * 3}, "not valid JSON"),
        ({"mean": [10**400] * 3}, "mean[0] is a whole number of more than 64 bits"),
        ({"input_size": [3, 100_000, 100_000]}, "at most 16,777,216 pixels is wanted"),
        ({"name": {"a": 1}}, "name is {'a': 1}"),
        ({"training": 10**400}, "training is a whole number of more than 64 bits"),
        ({"training": [[[[]]]] * 3, "crop_pct": 1e-9}, "crop_pct is 1e-09"),
        ({"std": [0.5, 0.0, 0.5]}, "all above 0"),
        ({"crop_pct": 1.5}, "crop_pct is 1.5"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic'"),
        ({"interpolation": ["bicubic"]}, "interpolation is"),
        ({"crop_mode": "left"}, "crop_mode is 'left'"),
        ({"num_classes": "six"}, "num_classes is 'six'"),
        ({"num_classes": 7}, "contradicts itself"),
        ({"class_names": "abcdef"}, "class_names is"),
        ({"class_names": [1, 2]}, "class_names is"),
        ({"model_args": [1]}, "model_args is"),
        ({"architecture": 3}, "architecture is 3"),
        ({"pretrained_cfg": "x"}, "pretrained_cfg is"),
        ({"pretrained_cfg": {"fixed_input_size": True, "input_size": 3}, "input_size": None}, "input_size is 3"),
    ],
)
def test_a_sidecar_with_a_wrong_value(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    write_weights(tmp_path / "w.safetensors")
    write_json(tmp_path / "w.json", {**CARD, **changed})
    fails(str(tmp_path / "w.safetensors"), "sidecar-invalid", "w.json", said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "a JSON list"),
        ("\udcff", "is not UTF-8 text (byte 1)"),
        ("[" * 200_000, "not valid JSON"),
        ('{"name": "\\ud800"}', "not valid JSON"),
    ],
)
def test_a_sidecar_that_is_no_json_object(tmp_path: Path, content: str, said: str) -> None:
    write_weights(tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    fails(str(tmp_path / "w.safetensors"), "sidecar-invalid", said)
