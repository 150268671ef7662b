"""Examples as pictures: the image, and beside it what each explainer makes of it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from efficient360.core.figures import Gallery, Picture
from efficient360.core.formatting import class_name
from efficient360.core.thumbnails import data_uri
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.models.model import TorchModel

FOR, AGAINST = (0.86, 0.20, 0.10), (0.10, 0.35, 0.85)
"""Red speaks for the class, blue against it."""
DIMMED = 0.55
"""How much of the grey image shows through where a cell has no value."""


def gallery(model: TorchModel, grid: Grid, explainers: Sequence[Explainer], asked: Sequence[tuple[Question, int]], names: Sequence[str]) -> Gallery | None:
    """A picture of each image and one for each explainer; ``None`` for no images.

    Args:
        model: What is explained.
        grid: The cells.
        explainers: In the order of the pictures.
        asked: Parts of the examples with the number of real ones in each.
        names: Class names, index = label.
    """
    pictures = [picture for question, real in asked for picture in _pictures(model, grid, explainers, question, real, names)]
    return Gallery("What the explanations point at: red for the predicted class, blue against it", tuple(pictures)) if pictures else None


def _pictures(model: TorchModel, grid: Grid, explainers: Sequence[Explainer], question: Question, real: int, names: Sequence[str]) -> Iterator[Picture]:
    values = [explainer.explain(model, grid, question) for explainer in explainers]
    with torch.no_grad():
        likely = model(question.images).softmax(1)
    for i in range(real):
        label = int(question.classes[i])
        yield Picture(data_uri(question.images[i]), f"predicted {class_name(label, names)}, {100 * float(likely[i, label]):.0f} %", question.ids[i])
        for explainer, of_all in zip(explainers, values, strict=True):
            yield Picture(data_uri(overlay(question.images[i], grid, of_all[i])), explainer.title)


def overlay(image: Tensor, grid: Grid, values: Tensor) -> Tensor:
    """The image in grey with its cells tinted, float ``(3, H, W)``: the stronger, the larger the value beside the largest of the image.

    Args:
        image: ``(3, H, W)`` in [0, 1].
        grid: The cells.
        values: ``(cells,)``.
    """
    image, values = image.cpu(), values.cpu()
    grey = DIMMED * image.mean(0, keepdim=True) + (1 - DIMMED) * 0.95
    largest = values.abs().max()
    share = grid.spread((values / largest if largest > 0 else values)[None])[0]  # (1, H, W) in [-1, 1]
    tint = torch.where(share >= 0, torch.tensor(FOR)[:, None, None], torch.tensor(AGAINST)[:, None, None])
    weight = 0.85 * share.abs()
    return grey * (1 - weight) + tint * weight
