"""The convolutional twin, its multiply-adds counted by the counting room and by hand."""

import pytest
import torch
from torch import nn

from efficient360.deployment.hardware_fit.matched_cnn import REACH, MatchedCnn, Shape, matched_cnn, matched_cnn_macs, shape_of
from efficient360.deployment.hardware_fit.networks import gemm_macs, gemm_network
from efficient360.errors import Unsupported
from efficient360.methods.complexity.mac_count import count_macs


@pytest.mark.parametrize(
    ("size", "macs"),
    [((3, 32, 32), 400_000), ((3, 32, 32), 13_000_000), ((3, 28, 28), 5_000_000), ((3, 40, 64), 90_000_000), ((3, 96, 96), 300_000_000)],
)
def test_as_many_macs_as_asked_for(size: tuple[int, int, int], macs: int) -> None:
    module = matched_cnn(size, macs, classes=10)
    counted = count_macs(module, torch.zeros((1, *size)))
    assert counted.uncounted == ()
    assert abs(counted.products / macs - 1) <= REACH
    assert counted.products == matched_cnn_macs(size, shape_of(size, macs, 10), 10)


def test_macs_by_hand() -> None:
    """Stem 8·8 positions of 27·8; a block of two convolutions at 8×8; one at 4×4 with 16 channels and a 1×1 shortcut; the head."""
    stem, first = 64 * 27 * 8, 64 * 2 * 9 * 8 * 8
    second = 16 * (9 * 8 * 16 + 9 * 16 * 16 + 8 * 16)
    assert matched_cnn_macs((3, 16, 16), Shape(2, 8, (1, 1)), 5) == stem + first + second + 16 * 5


@pytest.mark.parametrize(("side", "macs"), [(224, 1_258_000_000), (224, 4_608_000_000), (224, 17_580_000_000), (224, 307_000_000), (518, 46_800_000_000)])
def test_published_sizes_have_a_twin(side: int, macs: int) -> None:
    size = (3, side, side)
    assert abs(matched_cnn_macs(size, shape_of(size, macs, 1000), 1000) / macs - 1) <= 0.03


def test_resnet_18_is_its_own_twin_in_shape() -> None:
    size = (3, 224, 224)
    shape = Shape(4, 64, (2, 2, 2, 2))
    assert shape_of(size, matched_cnn_macs(size, shape, 1000), 1000) == shape


def test_it_is_nothing_but_3x3_convolutions_and_1x1_shortcuts() -> None:
    module = matched_cnn((3, 32, 32), 13_000_000, classes=10)
    assert isinstance(module, MatchedCnn)
    kernels = [part.kernel_size for part in module.modules() if isinstance(part, nn.Conv2d)]
    assert set(kernels) <= {(3, 3), (1, 1)}
    assert kernels.count((1, 1)) < kernels.count((3, 3)) / 2
    assert {part.out_channels % 8 for part in module.modules() if isinstance(part, nn.Conv2d)} == {0}


def test_its_logits_differ_between_images_and_repeat_with_the_seed() -> None:
    images = torch.rand((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    a, b = matched_cnn((3, 32, 32), 400_000, 10), matched_cnn((3, 32, 32), 400_000, 10)
    logits = a(images)
    assert torch.equal(logits, b(images))
    assert torch.isfinite(logits).all()
    assert logits.std(0).max() > 1e-4


def test_what_no_cnn_can_match_is_refused() -> None:
    with pytest.raises(Unsupported, match="no plain CNN on 224 × 224 pixels has 1,000 MACs: the nearest has") as error:
        matched_cnn((3, 224, 224), 1000)
    assert error.value.code == "no-twin"


@pytest.mark.parametrize("size", [(3, 32, 32), (3, 17, 40)])
def test_the_network_of_matrix_products_computes_what_it_says(size: tuple[int, int, int]) -> None:
    module = gemm_network(rows=24, width=16, depth=3)
    counted = count_macs(module, torch.zeros((1, *size)))
    assert counted.uncounted == ()
    assert counted.products == gemm_macs(24, 16, 3) == 3 * 24 + 3 * 24 * 16 * 16 + 16 * 16
    logits = module(torch.rand((5, *size), generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (5, 16)
    assert logits.std(0).max() > 1e-3


def test_building_them_leaves_the_global_random_state() -> None:
    before = torch.get_rng_state()
    gemm_network(rows=8, width=8, depth=1)
    matched_cnn((3, 32, 32), 400_000, 10)
    assert torch.equal(torch.get_rng_state(), before)
