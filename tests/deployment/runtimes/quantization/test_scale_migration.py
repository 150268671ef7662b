from pathlib import Path

import pytest
import torch
from exported import SIZE, block, build_of, images
from torch import nn

from efficient360.deployment.runtimes.program import export_program, network
from efficient360.deployment.runtimes.quantization.layers import layers_of, value_of, watch
from efficient360.deployment.runtimes.quantization.scale_migration import migrate


def migrated(module: nn.Module, folder: Path, strength: float = 0.5):
    build = build_of(module, folder)
    graph = network(build.program)
    found = migrate(graph, list(build.calibration_calls()), strength)
    for name, value in found.values.items():
        value_of(graph, name).data.copy_(value)
    return graph, found


def test_the_function_stays_and_the_outlier_goes(tmp_path: Path) -> None:
    module = block(outlier=1000.0)
    graph, found = migrated(module, tmp_path)
    assert (found.norms, found.layers) == (2, 2)
    batch = torch.from_numpy(images(2, seed=1))
    with torch.no_grad():
        assert torch.allclose(graph(batch), module(batch), rtol=1e-5, atol=1e-5)
    largest: dict[str, torch.Tensor] = {}
    layer = layers_of(graph)["fc1"]
    watch(graph, [images(2, seed=1)], {layer.nodes[0]: lambda values: largest.update(value=values.abs().flatten(0, -2).amax(0))})
    assert float(largest["value"].max() / largest["value"].median()) < 50  # a thousand times before


def test_the_divisors_are_the_papers(tmp_path: Path) -> None:
    module = block()
    _, found = migrated(module, tmp_path, strength=0.25)
    with torch.no_grad():  # by hand, with the network's own modules: max|X|**α / max|W|**(1 - α)
        tokens = module.patches(torch.from_numpy(images(8))).flatten(2).transpose(1, 2)
        largest = module.norm(tokens).abs().amax((0, 1))
        divisor = largest**0.25 / module.fc1.weight.abs().amax(0) ** 0.75
    assert torch.allclose(found.values["norm.weight"], module.norm.weight / divisor, rtol=1e-4)
    assert torch.allclose(found.values["norm.bias"], module.norm.bias / divisor, rtol=1e-4)
    assert torch.allclose(found.values["fc1.weight"], module.fc1.weight * divisor, rtol=1e-4)


class Residual(nn.Module):
    """A normalisation that is also added: dividing it would change the sum."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.one = nn.Linear(8, 8)
        self.two = self.one if tied else nn.Linear(8, 8)
        self.tied = tied

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(images.flatten(1, 2))
        return self.two(self.one(tokens)).mean(1) if self.tied else (tokens + self.two(self.one(tokens))).mean(1)


@pytest.mark.parametrize("tied", [False, True])
def test_what_others_use_too_stays(tied: bool, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        export_program(Residual(tied).eval(), SIZE, 1, tmp_path / "program.pt2")
    found = migrate(network(tmp_path / "program.pt2"), [images(1)])
    assert (found.values, found.norms, found.layers) == ({}, 0, 0)
