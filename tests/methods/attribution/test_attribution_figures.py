"""The gallery of attribution maps."""

import pytest
import torch
from toy_models import Edges, noise, vit

from efficient360.core.batch import Batch
from efficient360.methods.attribution.figures import attribution_gallery, attribution_map
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.method import RandomAttribution, attribution_batches


def test_the_gallery_shows_every_image_and_every_attribution_map() -> None:
    model = vit()
    images = noise(3, (3, 16, 16))
    batch = Batch(("a", "b", "c"), torch.zeros(3, dtype=torch.long), lambda: images, 0)
    gallery = attribution_gallery(
        model, grid_of(model), [Edges(), RandomAttribution()], list(attribution_batches(model, batch, 2)), ["cat", "dog", "ox", "emu", "bee"]
    )
    assert gallery is not None
    assert len(gallery.pictures) == 9
    assert [picture.caption for picture in gallery.pictures[1:3]] == ["Edges", "Random"]
    assert [picture.detail for picture in gallery.pictures[::3]] == ["a", "b", "c"]
    label = int(model(images[:1]).argmax())
    assert gallery.pictures[0].caption.startswith("predicted " + ["cat", "dog", "ox", "emu", "bee"][label] + ", ")
    assert all(picture.image.startswith("data:image/png;base64,") for picture in gallery.pictures)
    assert attribution_gallery(model, grid_of(model), [Edges()], [], []) is None


def test_red_is_for_the_class_blue_against_it_and_grey_neutral() -> None:
    tinted = attribution_map(torch.full((3, 4, 4), 0.5), Grid(2, 2, 4, 4), torch.tensor([4.0, -4.0, 0.0, 2.0]))
    corners = {name: tinted[:, row, column] for name, row, column in (("for", 0, 0), ("against", 0, 3), ("nothing", 3, 0), ("half", 3, 3))}
    assert corners["for"].argmax() == 0
    assert corners["against"].argmax() == 2
    assert float(corners["nothing"].std()) == pytest.approx(0, abs=1e-6)
    assert 0 < float(corners["half"][0] - corners["half"][2]) < float(corners["for"][0] - corners["for"][2])
    flat = attribution_map(torch.full((3, 4, 4), 0.5), Grid(2, 2, 4, 4), torch.zeros(4))
    assert float(flat.std()) == pytest.approx(0, abs=1e-6)
