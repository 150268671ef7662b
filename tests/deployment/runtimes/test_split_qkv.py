import pytest
import torch
from torch import nn

from efficient360.deployment.runtimes.graph_rewrites import split_qkv


class Heads(nn.Module):
    """Attention-like: one projection, split into ``parts`` of ``heads``."""

    def __init__(self, order: tuple[int, ...], parts: int, windows: int = 1) -> None:
        super().__init__()
        self.order, self.parts, self.windows = order, parts, windows
        self.project = nn.Linear(24, parts * 24)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found = self.project(tokens).reshape(self.windows, -1, self.parts, 3, 8).permute(*self.order).unbind(0)
        return torch.cat([part.exp() * (i + 1) for i, part in enumerate(found)], -1)


def exported(module: nn.Module, tokens: torch.Tensor) -> torch.fx.GraphModule:
    with torch.no_grad():
        graph = torch.export.export(module, (tokens,)).module()
    assert isinstance(graph, torch.fx.GraphModule)
    return graph


def ranks(graph: torch.fx.GraphModule) -> set[int]:
    return {node.meta["val"].dim() for node in graph.graph.nodes if isinstance(node.meta.get("val"), torch.Tensor)}


@pytest.mark.parametrize(("order", "parts", "windows"), [((2, 0, 3, 1, 4), 3, 1), ((2, 0, 3, 1, 4), 2, 1), ((2, 0, 3, 4, 1), 3, 1), ((2, 0, 3, 1, 4), 3, 4)])
def test_heads_are_split_to_the_bit_and_no_tensor_of_five_dimensions_is_left(order: tuple[int, ...], parts: int, windows: int) -> None:
    module = Heads(order, parts, windows).eval()
    tokens = torch.randn(windows, 7, 24)
    graph = exported(module, tokens)
    assert 5 in ranks(graph)
    split_qkv(graph)
    assert max(ranks(graph)) == 4
    with torch.no_grad():
        assert torch.equal(graph(tokens), module(tokens))


class Interleaved(nn.Module):
    """The parts are not contiguous in the projection, so slices of it are not the parts."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        first, second = tokens.reshape(1, 7, 3, 2, 4).permute(3, 0, 2, 1, 4).unbind(0)
        return first - 2 * second


def test_what_has_another_form_stays_as_it_is() -> None:
    tokens = torch.randn(1, 7, 24)
    graph = exported(Interleaved(), tokens)
    before = [node.target for node in graph.graph.nodes]
    split_qkv(graph)
    assert [node.target for node in graph.graph.nodes] == before
    assert torch.equal(graph(tokens), Interleaved()(tokens))


def test_a_vit_answers_the_same_to_the_bit(small_vit: nn.Module) -> None:
    images = torch.rand(1, 3, 32, 32)
    graph = split_qkv(exported(small_vit, images))
    assert max(ranks(graph)) == 4
    with torch.no_grad():
        assert torch.equal(graph(images), small_vit(images))
