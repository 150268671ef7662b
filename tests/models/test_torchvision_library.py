"""torchvision's classifiers, held against torchvision's own forward with its own transforms."""

import numpy as np
import pytest
import torch
import torchvision
from little_vit import fails
from PIL import Image

from efficient360.datasets.images import transform_for
from efficient360.models.architectures import skeleton
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.libraries.torchvision_library import TorchvisionLibrary
from efficient360.models.references import resolve

SMALL = {"image_size": 32, "num_classes": 6}


def test_state_dict_gives_torchvisions_own_logits(tmp_path) -> None:
    torch.manual_seed(2)
    network = torchvision.models.resnet18(num_classes=6).eval()
    torch.save(network.state_dict(), tmp_path / "r.pth")
    checkpoint = resolve(CheckpointSpec(str(tmp_path / "r.pth"), "torchvision:resnet18"))
    pixels = np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    with torch.inference_mode():
        expected = network(torchvision.models.ResNet18_Weights.DEFAULT.transforms()(image)[None])
        prepared = torch.from_numpy(np.asarray(transform_for(checkpoint.preprocessing)(image))).float() / 255
        ours = load_model(checkpoint)(prepared[None] if prepared.shape[0] == 3 else prepared.permute(2, 0, 1)[None])
    assert checkpoint.num_classes == 6
    assert (ours - expected).abs().max() < 1e-5


def test_vit_of_another_image_size(tmp_path) -> None:
    torch.manual_seed(2)
    network = torchvision.models.VisionTransformer(32, 16, 1, 2, 16, 32, num_classes=6).eval()
    torch.save(network.state_dict(), tmp_path / "v.pth")
    arguments = {"image_size": 32}
    fails(CheckpointSpec(str(tmp_path / "v.pth"), "torchvision:vit_b_16", arguments), "wrong-architecture")
    empty = skeleton("torchvision:vit_b_16", {**arguments, "num_classes": 6})
    assert empty.encoder.pos_embedding.shape == (1, 5, 768)


@pytest.mark.parametrize("name", ["vit_b_16", "vit_h_14", "swin_t", "maxvit_t", "efficientnet_b1", "squeezenet1_0", "convnext_tiny", "inception_v3"])
def test_defaults_are_those_of_its_weights(name) -> None:
    import math

    defaults = TorchvisionLibrary().defaults(f"torchvision:{name}")
    enum = torchvision.models.get_model_weights(name)
    weights = enum.IMAGENET1K_SWAG_LINEAR_V1 if name == "vit_h_14" else enum.IMAGENET1K_V1 if name == "vit_b_16" else enum.DEFAULT
    preset = weights.transforms()
    assert defaults["input_size"] == (3, *preset.crop_size * 2)
    assert math.floor(preset.crop_size[0] / defaults["crop_pct"]) == preset.resize_size[0]
    layer = skeleton(f"torchvision:{name}", {"num_classes": 9}).get_submodule(defaults["classifier"])
    assert layer.weight.shape[0] == 9


def test_published_weights_out_of_torchs_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1().eval()
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])
    checkpoint = resolve(CheckpointSpec("torchvision:squeezenet1_1"))
    assert (checkpoint.num_classes, checkpoint.assumed, checkpoint.name) == (1000, (), "squeezenet1_1")
    images = torch.rand((1, 3, 224, 224))
    with torch.inference_mode():
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (checkpoint.preprocessing.mean, checkpoint.preprocessing.std))
        assert torch.allclose(load_model(checkpoint)(images), network((images - mean) / std), atol=1e-5)


def test_weights_that_can_not_be_downloaded(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refused(*_args, **_kwargs):
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    fails("torchvision:resnet18", "download-failed", "no route", "--arch")


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("torchvision:resnet18.V9", "unknown-tag", "IMAGENET1K_V1"),
        ("torchvision:vit_b16", "checkpoint-not-found", "torchvision:vit_b_16"),
        ("torchvision:fasterrcnn_resnet50_fpn", "checkpoint-not-found", ""),
        ("vit_b_16", "checkpoint-not-found", ""),
    ],
)
def test_names_that_are_none(reference, code, words) -> None:
    fails(reference, code, words)


def test_an_architecture_that_is_none(tmp_path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    fails(CheckpointSpec(str(tmp_path / "a.pth"), "torchvision:vit_b_61"), "unknown-architecture", "torchvision:vit_b_16")
    fails(CheckpointSpec(str(tmp_path / "a.pth"), "torchvision:vit_b_16", {"weights": "DEFAULT"}), "architecture-arguments")
    fails(CheckpointSpec(str(tmp_path / "a.pth"), "torchvision:vit_b_16.IMAGENET1K_V1"), "unknown-architecture", "--arch torchvision:vit_b_16")


def test_random_weights_are_seeded() -> None:
    first, second = (resolve(CheckpointSpec("torchvision:squeezenet1_1", random_weights=True, seed=4)) for _ in range(2))
    assert first.digest == second.digest
    assert first.num_classes == 1000
