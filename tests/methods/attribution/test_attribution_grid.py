"""The grid of cells and the token layout."""

import pytest
import torch
from torch import nn
from toy_models import GRID, model_of, vit

from efficient360.errors import Unsupported
from efficient360.methods.attribution.grid import grid_of, token_layout
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.protocol import ViTView


def test_cells_are_summed_and_repeated_over_their_pixels() -> None:
    pixels = torch.arange(16.0).view(1, 4, 4)
    assert GRID.sum_per_cell(pixels).tolist() == [[10.0, 18.0, 42.0, 50.0]]
    assert GRID.to_pixels(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert torch.equal(GRID.sum_per_cell(torch.arange(4.0).view(1, 2, 2)), torch.arange(4.0)[None])


class Patched(nn.Identity):
    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.efficient360_view = ViTView(tokens=TokenLayout(rows, columns))


@pytest.mark.parametrize(
    ("size", "patches", "cells"),
    [
        ((224, 224), (14, 14), (14, 14)),
        ((224, 224), (7, 7), (7, 7)),
        ((224, 224), (56, 56), (14, 14)),
        ((384, 384), (24, 24), (12, 12)),
        ((224, 448), (14, 28), (14, 14)),
        ((518, 518), (37, 37), (37, 37)),
        ((224, 224), None, (16, 16)),
        ((32, 32), None, (8, 8)),
        ((299, 299), None, (13, 13)),
    ],
)
def test_the_grid_is_the_patches_or_about_as_many(size: tuple[int, int], patches: tuple[int, int] | None, cells: tuple[int, int]) -> None:
    grid = grid_of(model_of(nn.Identity() if patches is None else Patched(*patches), 2, (3, *size)))
    assert (grid.rows, grid.columns, grid.height, grid.width) == (*cells, *size)
    assert grid.cells == cells[0] * cells[1]


@pytest.mark.parametrize(("size", "network"), [((31, 31), nn.Identity()), ((30, 30), Patched(4, 4)), ((16, 16), Patched(1, 1))])
def test_an_image_size_without_a_grid_is_unsupported(size: tuple[int, int], network: nn.Module) -> None:
    with pytest.raises(Unsupported) as caught:
        grid_of(model_of(network, 2, (3, *size)))
    assert caught.value.code == "no-grid"


def test_pooled_relevance_is_that_of_the_class_token_or_the_mean_of_the_patches() -> None:
    flow = torch.arange(25.0).view(1, 5, 5)
    assert TokenLayout(2, 2, prefix=1, class_token=0).pooled_relevance(flow).flatten().tolist() == [1, 2, 3, 4]
    assert TokenLayout(2, 2, prefix=1).pooled_relevance(flow).flatten().tolist() == [13.5, 14.5, 15.5, 16.5]
    assert token_layout(vit(class_token=False, global_pool="avg")).class_token is None
    assert token_layout(vit(reg_tokens=2)).prefix == 3
