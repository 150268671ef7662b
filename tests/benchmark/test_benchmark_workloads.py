"""Random weights are set so that leaving out any part of a network shows in its logits."""

import copy

import numpy as np
import pytest
import timm
import torch

from efficient360.benchmark.matrix_products import MATMUL_MACS, MatmulStack
from efficient360.benchmark.random_weights import make_sensitive
from efficient360.deployment.runtimes.calibration_images import synthetic_images
from efficient360.models.model import PixelsToLogits

SIZE = (3, 32, 32)


def wrapped(network):
    return PixelsToLogits(network, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), None).eval().requires_grad_(False)


def scaled_vit():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return wrapped(
            timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10, init_values=1e-5)
        )


def residual_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return wrapped(timm.create_model("resnet18", num_classes=10, zero_init_last=True))


def without(module, part):
    """How far the logits move, as a share of their spread, when the weights of a part are halved."""
    images = torch.from_numpy(synthetic_images(SIZE, 4, 5))
    before = module(images)
    other = copy.deepcopy(module)
    for parameter in other.network.get_submodule(part).parameters():
        parameter.mul_(0.5)
    spread = (before - before.mean(1, keepdim=True)).abs().mean()
    return float((other(images) - before).abs().mean() / spread)


@pytest.mark.parametrize(("make", "part"), [(scaled_vit, "blocks.0.mlp"), (residual_network, "layer2.1")], ids=["layer scale", "zero gain"])
def test_every_layer_counts_afterwards_and_hardly_before(make, part):
    plain, module = make(), make()
    make_sensitive(module, SIZE, 0)
    assert without(plain, part) < 0.005
    assert without(module, part) > 0.02


def test_shapes_stay_and_the_seed_decides():
    one, same, other = scaled_vit(), scaled_vit(), scaled_vit()
    before = {name: tuple(value.shape) for name, value in one.state_dict().items()}
    for module, seed in ((one, 0), (same, 0), (other, 1)):
        make_sensitive(module, SIZE, seed)
    assert {name: tuple(value.shape) for name, value in one.state_dict().items()} == before
    images = torch.from_numpy(synthetic_images(SIZE, 2, 9))
    assert torch.equal(one(images), same(images))
    assert not torch.allclose(one(images), other(images))


def test_normalisation_takes_the_statistics_of_the_images():
    module = residual_network()
    make_sensitive(module, SIZE, 0)
    seen = []
    norm = module.network.bn1
    norm.register_forward_hook(lambda m, inputs, output: seen.append(inputs[0]))
    module(torch.from_numpy(synthetic_images(SIZE, 16, 0)))
    np.testing.assert_allclose(norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-5)
    assert not module.training
    assert all(not part.training and part.momentum == 0.1 for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d))


def test_the_matmul_stack_has_the_macs_it_says():
    torch_count = torch.utils.flop_counter.FlopCounterMode(display=False)
    with torch_count, torch.no_grad():
        MatmulStack()(torch.zeros(1, 3, 256, 256))
    assert torch_count.get_total_flops() // 2 == MATMUL_MACS
