from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from efficient360.errors import CheckpointError
from efficient360.models.architectures import build_network, close_architectures, skeleton
from efficient360.models.building import load_model, require_device
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin
from efficient360.models.fitting import fit
from efficient360.models.model import preflight
from efficient360.models.references import resolve
from efficient360.models.weights import digest

ARGUMENTS: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 6}
ARCHITECTURE = "vit_tiny_patch16_224"


def _network(seed: int = 5, architecture: str = ARCHITECTURE, **changed: Any) -> nn.Module:
    torch.manual_seed(seed)
    network: nn.Module = timm.create_model(architecture, **{**ARGUMENTS, **changed}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def _saved(path: Path, network: nn.Module) -> CheckpointSpec:
    save_file(network.state_dict(), path)
    return CheckpointSpec(str(path), architecture=ARCHITECTURE, arguments=ARGUMENTS)


def _images(size: int = 32) -> Tensor:
    return torch.rand((3, 3, size, size), generator=torch.Generator().manual_seed(1))


def test_logits_are_those_of_the_network_on_normalised_images(tmp_path: Path) -> None:
    network = _network()
    checkpoint = resolve(_saved(tmp_path / "w.safetensors", network))
    model = load_model(checkpoint)
    with torch.inference_mode():
        expected = network((_images() - 0.5) / 0.5)
        torch.testing.assert_close(model(_images()), expected, rtol=0, atol=1e-6)
    assert (model.num_classes, model.input_size, model.device) == (6, (3, 32, 32), "cpu")
    preflight(model, seed=0)


def test_the_model_is_frozen_in_eval_mode_and_differentiable_to_pixels(tmp_path: Path) -> None:
    model = load_model(resolve(_saved(tmp_path / "w.safetensors", _network(drop_rate=0.5))))
    assert not any(module.training for module in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    images = _images().requires_grad_()
    model(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_kept_outputs_are_columns_of_all(tmp_path: Path) -> None:
    checkpoint = resolve(_saved(tmp_path / "w.safetensors", _network()))
    whole, part = load_model(checkpoint), load_model(checkpoint, keep=(4, 1))
    assert part.num_classes == 2
    assert torch.equal(part(_images()), whole(_images())[:, [4, 1]])


@pytest.mark.parametrize("keep", [(), (6,), (-1,), (1, 1)])
def test_outputs_that_are_not_there_can_not_be_kept(tmp_path: Path, keep: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="keep"):
        load_model(resolve(_saved(tmp_path / "w.safetensors", _network())), keep=keep)


def test_half_precision_files_run_in_single_precision(tmp_path: Path) -> None:
    network = _network().half()
    checkpoint = resolve(_saved(tmp_path / "w.safetensors", network))
    assert checkpoint.card["stored_dtype"] == "float16"
    model = load_model(checkpoint)
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}
    assert torch.equal(model.network.state_dict()["head.weight"], network.state_dict()["head.weight"].float())


# --- random weights ---


RANDOM = CheckpointSpec(ARCHITECTURE, arguments=ARGUMENTS, random_weights=True, seed=3)


def test_random_weights_have_the_digest_that_was_resolved() -> None:
    checkpoint = resolve(RANDOM)
    model = load_model(checkpoint)
    assert checkpoint.digest == digest(model.network.state_dict())
    assert (checkpoint.origin, checkpoint.path, checkpoint.trained) == (Origin.RANDOM, None, False)


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = resolve(RANDOM)
    torch.manual_seed(2)
    assert resolve(RANDOM).digest == first.digest
    assert resolve(replace(RANDOM, seed=4)).digest != first.digest
    one, other = load_model(first), load_model(first)
    assert torch.equal(one(_images()), other(_images()))


@pytest.mark.parametrize("spec", [RANDOM, replace(RANDOM, seed=9)])
def test_the_global_random_state_is_left_alone(spec: CheckpointSpec) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    load_model(resolve(spec))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.initial_seed() == 11


# --- faults ---


def test_weights_that_change_between_resolving_and_loading(tmp_path: Path) -> None:
    checkpoint = resolve(_saved(tmp_path / "w.safetensors", _network()))
    _saved(tmp_path / "w.safetensors", _network(seed=6))
    _raises(checkpoint, "weights-changed")


def test_weights_that_vanish_between_resolving_and_loading(tmp_path: Path) -> None:
    checkpoint = resolve(_saved(tmp_path / "w.safetensors", _network()))
    (tmp_path / "w.safetensors").unlink()
    _raises(checkpoint, "checkpoint-unreadable")


def _raises(checkpoint: Checkpoint, code: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_model(checkpoint)
    assert caught.value.code == code


@pytest.mark.parametrize("device", ["warp", "cuda:99", "xpu:0"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(CheckpointError, match=device) as caught:
        require_device(device)
    assert caught.value.code == "device-unavailable"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"foo": 1}, "foo"),
        ({"img_size": "x"}, "img_size"),
        ({"num_heads": 5}, "divisible"),
        ({"depth": -1}, "depth"),
        ({"embed_dim": "wide"}, "embed_dim"),
        ({"patch_size": 0}, "patch_size"),
        ({"pretrained": True}, "pretrained"),
        ({"checkpoint_path": "w.pth"}, "checkpoint_path"),
        ({"features_only": True}, "features_only"),
    ],
)
def test_arguments_that_build_nothing(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as caught:
        build_network(ARCHITECTURE, {**ARGUMENTS, **changed}, seed=0)
    assert caught.value.code == "architecture-arguments"


def test_a_skeleton_has_names_and_shapes_but_no_data() -> None:
    bare, full = skeleton(ARCHITECTURE, ARGUMENTS).state_dict(), build_network(ARCHITECTURE, ARGUMENTS, seed=0).state_dict()
    assert {name: tensor.shape for name, tensor in bare.items()} == {name: tensor.shape for name, tensor in full.items()}
    assert all(tensor.is_meta for tensor in bare.values())


@pytest.mark.parametrize(
    ("typed", "meant"), [("vit_tny", "vit_tiny_patch16_224"), ("deit_smal_patch16_224", "deit_small_patch16_224"), ("resnet81", "resnet18")]
)
def test_close_names(typed: str, meant: str) -> None:
    assert meant in close_architectures(typed)


def test_nothing_is_close_to_nonsense() -> None:
    assert close_architectures("qqqqqqqq") == ()


# --- fitting ---


def _misfit(file: dict[str, Any], wanted: dict[str, Any], architecture: str = ARCHITECTURE) -> CheckpointError:
    network = skeleton(architecture, wanted)
    with pytest.raises(CheckpointError) as caught:
        fit(network, _network(**file).state_dict(), "w.pth", resample=False)
    return caught.value


def test_another_number_of_classes_is_told_with_the_way_out() -> None:
    error = _misfit({"num_classes": 100}, {**ARGUMENTS, "num_classes": 10})
    assert error.code == "class-count-mismatch"
    assert error.message == "w.pth: the file's head has 100 classes, the architecture 10"
    assert error.hint == "--arch-arg num_classes=100"


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ({"depth": 3}, "--arch-arg depth=3"),
        ({"img_size": 48}, "--arch-arg img_size=48"),
        ({"patch_size": 4}, "--arch-arg patch_size=4"),
        ({"embed_dim": 48}, "--arch-arg embed_dim=48"),
    ],
)
def test_shapes_point_at_the_argument(file: dict[str, Any], hint: str) -> None:
    error = _misfit(file, ARGUMENTS)
    assert error.code == "weights-mismatch"
    assert hint in error.hint


def test_missing_and_unexpected_are_counted_and_named() -> None:
    tensors = _network().state_dict()
    del tensors["blocks.0.norm1.weight"], tensors["norm.bias"]
    tensors["extra.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        fit(skeleton(ARCHITECTURE, ARGUMENTS), tensors, "w.pth", resample=False)
    assert caught.value.code == "weights-mismatch"
    assert "2 tensors missing (blocks.0.norm1.weight, norm.bias)" in caught.value.message
    assert "1 tensor unexpected (extra.weight)" in caught.value.message


def test_another_architecture_is_recognised() -> None:
    error = _misfit({}, {"num_classes": 6}, architecture="resnet18")
    assert error.code == "wrong-architecture"
    assert "resnet18" in error.message
    assert "cls_token" in error.hint


def test_resampling_needs_leave_and_is_timms_own() -> None:
    small = _network().state_dict()
    network = skeleton(ARCHITECTURE, {**ARGUMENTS, "img_size": 64})
    with pytest.raises(CheckpointError, match="another shape"):
        fit(network, small, "w.pth", resample=False)
    fitted = fit(network, small, "w.pth", resample=True)
    expected = timm.layers.resample_abs_pos_embed(small["pos_embed"], new_size=[8, 8], num_prefix_tokens=1)
    assert fitted.resampled == ("pos_embed",)
    torch.testing.assert_close(fitted.tensors["pos_embed"], expected)


def test_older_formats_are_renamed_by_timms_filter() -> None:
    network = _network(class_token=False, global_pool="avg", fc_norm=False, init_values=1e-5)
    tensors = network.state_dict()
    # How the first ViT files stored the patch embedding: as a matrix.
    tensors["patch_embed.proj.weight"] = tensors["patch_embed.proj.weight"].flatten(1)
    fitted = fit(network, tensors, "w.pth", resample=False)
    torch.testing.assert_close(fitted.tensors["patch_embed.proj.weight"], network.state_dict()["patch_embed.proj.weight"])
    assert fitted.resampled == ()
