"""Grids, questions, the choice of the best, and pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toy_models import GRID, Edges, asked, linear_model, model_of, noise, vit

from efficient360.core.batch import Batch
from efficient360.errors import PluginError, SettingsError, Unsupported
from efficient360.methods.attribution.catalogue import EXPLAINERS, explainer
from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.choice import choose
from efficient360.methods.attribution.gallery import gallery, overlay
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.question import logits, probabilities, questions


def test_cells_are_summed_and_spread() -> None:
    pixels = torch.arange(16.0).view(1, 4, 4)
    assert GRID.collect(pixels).tolist() == [[10.0, 18.0, 42.0, 50.0]]
    assert GRID.spread(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert torch.equal(GRID.collect(torch.arange(4.0).view(1, 2, 2)), torch.arange(4.0)[None])


class Patched(nn.Module):
    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.grid_size = (rows, columns)


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
def test_an_image_that_divides_into_no_grid_is_told(size: tuple[int, int], network: nn.Module) -> None:
    with pytest.raises(Unsupported, match="divides into no grid"):
        grid_of(model_of(network, 2, (3, *size)))


@pytest.mark.parametrize("n", [1, 4, 5, 9])
def test_every_part_of_a_batch_has_the_same_size(n: int) -> None:
    model, images = linear_model(), noise(n)
    batch = Batch(tuple(f"x{i}" for i in range(n)), torch.zeros(n, dtype=torch.long), lambda: images, 3)
    parts = list(questions(model, batch, 4))
    assert [len(question) for question, _ in parts] == [4] * len(parts)
    assert sum(real for _, real in parts) == n
    assert [name for question, real in parts for name in question.ids[:real]] == list(batch.ids)
    assert torch.equal(torch.cat([question.images[:real] for question, real in parts]), images)
    assert torch.equal(torch.cat([question.classes[:real] for question, real in parts]), model(images).argmax(1))
    last, real = parts[-1]
    assert all(torch.equal(image, images[-1]) for image in last.images[real:])
    assert last.seed == 3


def test_an_examples_draws_are_its_own() -> None:
    question = asked(linear_model(), noise(3))
    alone = type(question)(question.images[2:], question.classes[2:], ("x2",), 0)
    values = Chance().explain(linear_model(), GRID, question)
    assert torch.equal(Chance().explain(linear_model(), GRID, alone)[0], values[2])
    assert not torch.equal(values[0], values[1])
    assert len({float(rng.random()) for salt in ("a", "b") for rng in question.generators(salt)}) == 6


def test_probability_and_logit_are_those_of_the_class() -> None:
    model = linear_model()
    question = asked(model, noise(3))
    out = model(question.images)
    assert torch.allclose(logits(model, question), out.amax(1))
    assert torch.allclose(probabilities(model, question), out.softmax(1).amax(1))


def test_every_explainer_of_the_catalogue_names_itself() -> None:
    assert [explainer(name, 3, 0).name for name in EXPLAINERS] == list(EXPLAINERS)
    with pytest.raises(SettingsError, match="there is no explainer called 'lime'"):
        explainer("lime", 3, 0)


@pytest.mark.parametrize(("text", "code"), [(None, "no-plugin"), ("1/0", "broken-plugin"), ("x = 1", "no-explainer")])
def test_a_broken_file_of_an_explainer_is_named(text: str | None, code: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PluginError, match=r"mine\.py") as caught:
        explainer(str(path), 3, 0)
    assert caught.value.code == code


def test_the_best_is_measured_where_it_was_not_chosen() -> None:
    found = choose({"a": np.array([9.0, 0.0, 9.0, 0.0]), "b": np.array([1.0, 5.0, 1.0, 5.0])})
    # even examples choose a, odd ones b; each is measured on the others
    assert found.names == ("a", "b")
    assert found.values.tolist() == [1.0, 0.0, 1.0, 0.0]
    agreed = choose({"a": np.array([0.3, 0.4, 0.5]), "b": np.array([0.1, 0.2, 0.3])})
    assert agreed.names == ("a", "a")
    assert agreed.values.tolist() == [0.3, 0.4, 0.5]
    assert choose({"a": np.array([0.1]), "b": np.array([0.2])}).values.tolist() == [0.2]


def test_the_luck_of_the_best_of_many_equals_is_left_out() -> None:
    rng = np.random.default_rng(0)
    honest, naive = [], []
    for _ in range(300):
        scores = {str(i): rng.normal(0, 1, 40) for i in range(8)}
        honest.append(choose(scores).values.mean())
        naive.append(max(values.mean() for values in scores.values()))
    assert abs(np.mean(honest)) < 0.04
    assert np.mean(naive) > 0.15


def test_a_picture_of_every_image_and_of_every_explanation() -> None:
    model = vit()
    images = noise(3, (3, 16, 16))
    batch = Batch(("a", "b", "c"), torch.zeros(3, dtype=torch.long), lambda: images, 0)
    found = gallery(model, grid_of(model), [Edges(), Chance()], list(questions(model, batch, 2)), ["cat", "dog", "ox", "emu", "bee"])
    assert found is not None
    assert len(found.pictures) == 9
    assert [picture.caption for picture in found.pictures[1:3]] == ["Edges", "Random"]
    assert [picture.detail for picture in found.pictures[::3]] == ["a", "b", "c"]
    label = int(model(images[:1]).argmax())
    assert found.pictures[0].caption.startswith("predicted " + ["cat", "dog", "ox", "emu", "bee"][label] + ", ")
    assert all(picture.image.startswith("data:image/png;base64,") for picture in found.pictures)
    assert gallery(model, grid_of(model), [Edges()], [], []) is None


def test_red_is_for_the_class_blue_against_it_and_grey_nothing() -> None:
    drawn = overlay(torch.full((3, 4, 4), 0.5), Grid(2, 2, 4, 4), torch.tensor([4.0, -4.0, 0.0, 2.0]))
    corners = {name: drawn[:, row, column] for name, row, column in (("for", 0, 0), ("against", 0, 3), ("nothing", 3, 0), ("half", 3, 3))}
    assert corners["for"].argmax() == 0
    assert corners["against"].argmax() == 2
    assert float(corners["nothing"].std()) == pytest.approx(0, abs=1e-6)
    assert 0 < float(corners["half"][0] - corners["half"][2]) < float(corners["for"][0] - corners["for"][2])
    flat = overlay(torch.full((3, 4, 4), 0.5), Grid(2, 2, 4, 4), torch.zeros(4))
    assert float(flat.std()) == pytest.approx(0, abs=1e-6)
