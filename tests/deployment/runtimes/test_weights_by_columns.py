"""Weights that are laid out by columns, as decompositions and transposed checkpoints leave them."""

from pathlib import Path

import torch
from torch import nn

from efficient360.deployment.runtimes.program import export_program, load_program


def test_a_program_is_loaded_with_its_weights_in_order(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Linear(5, 5)).eval().requires_grad_(False)
    for layer in (network[1], network[2]):
        assert isinstance(layer, nn.Linear)
        layer.weight = nn.Parameter(layer.weight.T.contiguous().T, requires_grad=False)
        assert not layer.weight.is_contiguous()
    images = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    export_program(network, (3, 2, 2), 1, tmp_path / "program.pt2")
    program = load_program(tmp_path / "program.pt2")
    assert all(tensor.is_contiguous() for tensor in program.state_dict.values())
    torch.testing.assert_close(program.module()(images), network(images))
