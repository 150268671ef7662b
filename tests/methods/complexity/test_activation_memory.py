import gc
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker

from efficient360.methods.complexity.activation_memory import activation_peak, weight_bytes

FLOAT = 4


def test_a_perceptron_by_hand() -> None:
    # After the last layer: the hidden row after ReLU and the output; before that the hidden row before and after ReLU.
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    assert activation_peak(net, torch.rand(3, 8)) == 3 * (16 + 16) * FLOAT


def test_a_wide_output_is_where_the_peak_lies() -> None:
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 100)).eval()
    assert activation_peak(net, torch.rand(3, 8)) == 3 * (16 + 100) * FLOAT


def test_in_place_operators_take_nothing() -> None:
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 4)).eval()
    assert activation_peak(net, torch.rand(3, 8)) == 3 * (16 + 4) * FLOAT


def test_a_convolution_by_hand() -> None:
    assert activation_peak(nn.Conv2d(3, 5, 3, stride=2), torch.rand(2, 3, 9, 9)) == 2 * 5 * 4 * 4 * FLOAT


def test_what_a_branch_holds_counts() -> None:
    class Residual(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            held = x * 2
            return held + (x * 3 - 1)

    # held, x * 3 and its difference to 1; then held, the difference and the sum.
    assert activation_peak(Residual(), torch.rand(5, 7)) == 3 * 5 * 7 * FLOAT


def test_inside_a_compound_operator_is_seen() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            # Heads before tokens, as attention has it: matmul copies both sides before it multiplies.
            heads = x.transpose(1, 2)
            return torch.matmul(heads, heads.transpose(2, 3))

    batch, tokens, heads, width = 4, 2, 3, 6
    copied, product = batch * heads * tokens * width, batch * heads * tokens * tokens
    assert activation_peak(Product(), torch.rand(batch, tokens, heads, width)) == (2 * copied + product) * FLOAT


def test_what_a_network_keeps_from_before_does_not_count() -> None:
    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.table is None:
                self.table = torch.zeros(1000)
            return x + self.table[:7]

    assert activation_peak(Cached(), torch.rand(5, 7)) == 5 * 7 * FLOAT


def test_reference_cycles_are_held_whenever_the_collector_would_run() -> None:
    class Cyclic(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                cycle: list[Any] = [x + 1]
                cycle.append(cycle)
                del cycle
                gc.collect(0) if gc.isenabled() else None
            return x + 2

    assert activation_peak(Cyclic(), torch.rand(10)) == 4 * 10 * FLOAT
    assert gc.isenabled()


def test_the_collector_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        activation_peak(nn.ReLU(), torch.rand(2, 2))
        assert not gc.isenabled()
    finally:
        gc.enable()


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 10}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(("name", "arguments"), [("vit_tiny_patch16_224", VIT), ("resnet10t", {"num_classes": 10})])
def test_against_torchs_own_tracker(name: str, arguments: dict[str, Any], batch: int) -> None:
    net = timm.create_model(name, **arguments).eval()
    images = torch.rand(batch, 3, 32, 32)
    ours = activation_peak(net, images)
    tracker = MemTracker()
    tracker.track_external(net, images)
    with torch.no_grad(), tracker:
        net(images)
    peak = {getattr(kind, "value", kind): size for kind, size in tracker.get_tracker_snapshot("peak")[torch.device("cpu")].items()}
    assert ours == peak["Activation"] + peak["Temp"]


def test_the_same_number_each_time_and_more_for_more_images() -> None:
    net = timm.create_model("vit_tiny_patch16_224", **VIT).eval()
    peaks = [activation_peak(net, torch.rand(batch, 3, 32, 32)) for batch in (1, 1, 2, 8)]
    assert peaks[0] == peaks[1] < peaks[2] < peaks[3]
    assert peaks[3] == 8 * peaks[0]


def test_weights_are_parameters_and_buffers() -> None:
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16))
    # 8·16 + 16, scale and shift, running mean and variance in float32, and one int64 counter.
    assert weight_bytes(net) == (8 * 16 + 16 + 2 * 16 + 2 * 16) * FLOAT + 8
    assert weight_bytes(net) == sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))
    assert weight_bytes(net.half()) == (8 * 16 + 16 + 2 * 16 + 2 * 16) * 2 + 8


def test_shared_weights_count_once() -> None:
    first, second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
    second.weight = nn.Parameter(first.weight.T)
    assert weight_bytes(nn.Sequential(first, second)) == 64 * FLOAT
