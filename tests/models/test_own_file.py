"""``--arch path/to/file.py:build``: a user's own network with its weights."""

import importlib
import random
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from little_vit import fails, write_json
from own_networks import ENCODER, TWO_HEADS, built, write
from safetensors.torch import save_file

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Origin
from efficient360.models.libraries.own_file import OwnFileLibrary
from efficient360.models.references import resolve

IMAGES = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(1))
MEAN, STD = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), 0.25


def saved(folder: Path, text: str = ENCODER, name: str = "build", wrap=lambda state: state, **arguments) -> tuple[CheckpointSpec, torch.nn.Module]:
    file = write(folder, text)
    network = built(file, name, **arguments)
    torch.save(wrap(network.state_dict()), folder / "best.pth")
    return CheckpointSpec(str(folder / "best.pth"), f"{file}:{name}"), network


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "model": {f"module.{name}": tensor for name, tensor in state.items()}, "optimizer": {"lr": 0.1}},
        lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    ],
    ids=["bare", "trainer", "lightning"],
)
def test_its_logits_are_those_of_a_plain_loop(tmp_path, wrap) -> None:
    spec, network = saved(tmp_path, wrap=wrap)
    checkpoint = resolve(spec)
    assert (checkpoint.num_classes, checkpoint.preprocessing.input_size, checkpoint.preprocessing.crop_pct) == (5, (3, 32, 32), 1.0)
    assert checkpoint.trained
    with torch.inference_mode():
        expected = network((IMAGES - MEAN) / STD)
        assert (load_model(checkpoint)(IMAGES) - expected).abs().max() < 1e-5


def test_the_number_of_classes_is_that_of_the_weights_where_the_function_takes_it(tmp_path) -> None:
    spec, _ = saved(tmp_path, num_classes=7)
    checkpoint = resolve(spec)
    assert (checkpoint.num_classes, checkpoint.arguments) == (7, {"num_classes": 7})
    assert load_model(checkpoint)(IMAGES).shape == (3, 7)


def test_arguments_go_to_the_function_as_they_are(tmp_path) -> None:
    spec, _ = saved(tmp_path, name="ViT", dim=24)
    assert fails(spec, "weights-mismatch")
    checkpoint = resolve(CheckpointSpec(spec.reference, spec.architecture, {"dim": 24}))
    assert checkpoint.arguments == {"dim": 24}
    assert fails(CheckpointSpec(spec.reference, spec.architecture, {"depth": 2}), "architecture-arguments", "unexpected keyword argument 'depth'", "dim=16")


def test_its_identity_is_the_weights_and_the_source_not_the_place(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = resolve(saved(tmp_path / "a")[0]), resolve(saved(tmp_path / "b")[0])
    assert first.digest == second.digest
    write(tmp_path / "b", ENCODER.replace("x = self.embed(x)", "x = 2 * self.embed(x)"))
    assert resolve(second.spec).digest != first.digest


def test_a_file_beside_it_counts_as_its_source(tmp_path) -> None:
    write(tmp_path, "SCALE = 1.0\n", "constants.py")
    spec, _ = saved(tmp_path, "from constants import SCALE\n" + ENCODER.replace("x = self.embed(x)", "x = SCALE * self.embed(x)"))
    before = resolve(spec).digest
    write(tmp_path, "SCALE = 2.0\n", "constants.py")
    assert resolve(spec).digest != before


def test_the_file_may_not_change_between_resolving_and_loading(tmp_path) -> None:
    from efficient360.errors import CheckpointError

    spec, _ = saved(tmp_path)
    checkpoint = resolve(spec)
    write(tmp_path, ENCODER.replace("x = self.embed(x)", "x = 2 * self.embed(x)"))
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint)
    assert caught.value.code == "weights-changed"


def test_files_beside_it_are_imported_and_those_of_another_folder_are_not(tmp_path) -> None:
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"WIDTH = {8 * value}\n", "sizes_of_mine.py")
        file = write(
            tmp_path / folder,
            f"from torch import nn\nfrom {'.' if value == 2 else ''}sizes_of_mine import WIDTH\n\ndef build():\n    return nn.Linear(WIDTH, 2)\n",
        )
        assert OwnFileLibrary().create(f"{file}:build", {}).in_features == 8 * value
    assert str(tmp_path / "a") not in sys.path
    assert str(tmp_path / "b") not in sys.path


def test_a_file_beside_it_wins_over_what_lies_inside_a_package(tmp_path, monkeypatch) -> None:
    """As ``constants`` of ONNX Runtime does, whose tools put their folder on the path: once as a module that is there, once as one that could be found."""
    package = tmp_path / "site-packages" / "package" / "tools"
    package.mkdir(parents=True)
    write(package, "WIDTH = 3\n", "widths.py")
    write(package, "DEPTH = 3\n", "depths.py")
    write(tmp_path, "WIDTH = 8\n", "widths.py")
    write(tmp_path, "DEPTH = 2\n", "depths.py")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "site-packages"))
    monkeypatch.syspath_prepend(str(package))
    theirs = importlib.import_module("widths")
    file = write(tmp_path, "from torch import nn\nfrom widths import WIDTH\nfrom depths import DEPTH\n\ndef build():\n    return nn.Linear(WIDTH, DEPTH)\n")
    network = OwnFileLibrary().create(f"{file}:build", {})
    assert (network.in_features, network.out_features) == (8, 2)
    assert sys.modules.pop("widths") is theirs
    assert sys.modules.pop("depths").DEPTH == 2


def test_building_leaves_global_state_alone(tmp_path) -> None:
    file = write(
        tmp_path,
        "import random\nimport numpy\nimport torch\ntorch.manual_seed(1)\n"
        "def build():\n    random.seed(1)\n    numpy.random.seed(1)\n    torch.set_default_dtype(torch.float64)\n    return torch.nn.Linear(2, 2)\n",
    )
    torch.manual_seed(9)
    np.random.seed(9)
    random.seed(9)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    network = OwnFileLibrary().create(f"{file}:build", {})
    assert network.weight.dtype is torch.float32
    assert torch.get_default_dtype() is torch.float32
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]


@pytest.mark.parametrize(
    ("text", "name", "code", "words"),
    [
        (None, "build", "architecture-no-file", "net2.py"),
        (ENCODER, "", "architecture-no-name", "build"),
        (ENCODER, "biuld", "architecture-no-such-name", "build"),
        (ENCODER, "PREPROCESSING", "architecture-not-callable", "dict"),
        ("from torch import nn\nmodel = nn.Linear(2, 2)\n", "model", "architecture-not-callable", "def build()"),
        ("def build(:\n", "build", "architecture-file-broken", "line 1"),
        ("import no_such_package_at_all\n", "build", "architecture-file-broken", "install no_such_package_at_all"),
        ("x = 1 / 0\n", "build", "architecture-file-broken", "line 1"),
        ("def build():\n    raise ValueError('no luck')\n", "build", "architecture-raises", "net.py, line 2"),
        ("def build():\n    return {'model': 1}\n", "build", "architecture-no-module", "dict"),
        (ENCODER.replace('"std"', '"sdt"'), "build", "preprocessing-invalid", "'sdt'"),
    ],
)
def test_what_can_be_wrong_is_told(tmp_path, text, name, code, words) -> None:
    weights = tmp_path / "w.safetensors"
    save_file({"a.weight": torch.zeros(2, 2)}, weights)
    write(tmp_path, text or "", "net.py" if text else "net2.py")
    fails(CheckpointSpec(str(weights), f"{tmp_path / 'net.py'}{':' if name else ''}{name}"), code, words)


def test_weights_of_another_network(tmp_path) -> None:
    spec, _ = saved(tmp_path)
    save_file({"a.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    fails(CheckpointSpec(str(tmp_path / "other.safetensors"), spec.architecture), "wrong-architecture")


def test_another_image_size_is_offered(tmp_path) -> None:
    spec, _ = saved(tmp_path, ENCODER.replace("PREPROCESSING", "_OTHER"))
    fails(spec, "network-fails", "224 x 224", "--preprocess input_size=32")
    checkpoint = resolve(CheckpointSpec(spec.reference, spec.architecture, preprocessing={"input_size": 32, "mean": [0.5, 0.4, 0.3]}))
    assert checkpoint.preprocessing.mean == (0.5, 0.4, 0.3)
    assert checkpoint.preprocessing.crop_pct == 1.0  # of images so small nothing is cropped where nobody says so
    assert "crop_pct" in checkpoint.assumed
    assert "std" in checkpoint.assumed
    assert "mean" not in checkpoint.assumed


def test_the_image_size_of_the_functions_own_default(tmp_path) -> None:
    spec, _ = saved(tmp_path, TWO_HEADS, "Hybrid")
    assert resolve(CheckpointSpec(spec.reference, spec.architecture, output="fine")).preprocessing.input_size == (3, 16, 16)


def test_several_heads_are_asked_for(tmp_path) -> None:
    spec, network = saved(tmp_path, TWO_HEADS, "Hybrid")
    fails(spec, "several-outputs", "coarse (B, 2), fine (B, 4)", "--output coarse or --output fine")
    fails(CheckpointSpec(spec.reference, spec.architecture, output="medium"), "no-such-output", "coarse (B, 2)")
    fine, coarse = (resolve(CheckpointSpec(spec.reference, spec.architecture, output=name)) for name in ("fine", "coarse"))
    assert (fine.num_classes, coarse.num_classes) == (4, 2)
    assert fine.digest != coarse.digest
    images = torch.rand((2, 3, 16, 16))
    with torch.inference_mode():
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (fine.preprocessing.mean, fine.preprocessing.std))
        assert torch.allclose(load_model(fine)(images), network((images - mean) / std)["fine"], atol=1e-5)


def test_a_card_beside_the_weights_never_runs_a_file(tmp_path) -> None:
    spec, _ = saved(tmp_path)
    marker = tmp_path / "ran"
    write(tmp_path, f"open({str(marker)!r}, 'w')\n{ENCODER}")
    write_json(tmp_path / "best.json", {"architecture": spec.architecture})
    fails(spec.reference, "architecture-is-code", f"--arch {spec.architecture}")
    assert not marker.exists()
    assert resolve(spec).num_classes == 5
    assert marker.exists()


def test_a_function_that_loads_its_weights_needs_no_others(tmp_path) -> None:
    spec, network = saved(tmp_path)
    loads = ENCODER + f"\n\ndef trained():\n    network = ViT()\n    network.load_state_dict(torch.load({spec.reference!r}))\n    return network\n"
    file = write(tmp_path, loads, "loads.py")
    checkpoint = resolve(CheckpointSpec(f"{file}:trained"))
    assert (checkpoint.origin, checkpoint.trained, checkpoint.name) == (Origin.CODE, True, "loads")
    with torch.inference_mode():
        assert (load_model(checkpoint)(IMAGES) - network((IMAGES - MEAN) / STD)).abs().max() < 1e-5
    fails(f"{file}:build", "no-weights", "efficient360 evaluate WEIGHTS --arch")
    assert not resolve(CheckpointSpec(f"{file}:build", random_weights=True)).trained


def test_a_python_file_in_the_place_of_weights(tmp_path) -> None:
    file = write(tmp_path, ENCODER)
    fails(str(file), "checkpoint-is-code", f"--arch {file}:NAME")
