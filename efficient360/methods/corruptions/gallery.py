"""One example under every corruption, with what the model then says."""

from collections.abc import Sequence

import torch

from efficient360.core.batch import Batch
from efficient360.core.figures import Gallery, Picture
from efficient360.core.formatting import class_name
from efficient360.core.thumbnails import data_uri
from efficient360.methods.corruptions.batches import Cell, corrupted_batches
from efficient360.models.model import Model


def gallery(model: Model, batch: Batch, corruptions: Sequence[str], severity: int, table: str, class_names: Sequence[str]) -> Gallery:
    """The batch's one example clean and under each corruption at one severity."""
    label = int(batch.labels[0])
    pictures = [_picture(batch.images, int(model.logits(batch)[0].argmax()), label, "clean", class_names)]
    cells = [Cell(name, severity, table) for name in corruptions]
    for cell, images in corrupted_batches(batch.images, batch.ids, cells, batch.seed):
        with torch.inference_mode():
            predicted = int(model(images)[0].argmax())
        pictures.append(_picture(images, predicted, label, cell.corruption.replace("_", " "), class_names))
    return Gallery(f"{batch.ids[0]} under every corruption, severity {severity}", tuple(pictures))


def _picture(images: torch.Tensor, predicted: int, label: int, told: str, names: Sequence[str]) -> Picture:
    return Picture(data_uri(images[0]), f"{told}: {class_name(predicted, names)}", "right" if predicted == label else "wrong")
