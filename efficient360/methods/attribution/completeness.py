"""Completeness: the values of an explanation sum to what the image adds to the logit of the mean colour."""

import torch
from torch import Tensor

from efficient360.methods.attribution.question import Question, logits
from efficient360.models.model import TorchModel

TOLERANCE = 0.05
"""Share of the difference of logits that the sum may miss."""
ROUNDING = 1e-5


def mean_colour(model: TorchModel, images: Tensor) -> Tensor:
    """Images of the colour that the network's normalisation maps to zero, ``(B, 3, H, W)``."""
    return model.module.mean.expand_as(images).to(images.device)


def logit_difference(model: TorchModel, question: Question) -> Tensor:
    """Logit of each image's class less that of the mean colour, float32 ``(B,)``."""
    return logits(model, question) - logits(model, question.about(mean_colour(model, question.images)))


def complete(values: Tensor, wanted: Tensor) -> Tensor:
    """Whether values ``(B, cells)`` sum to ``wanted`` ``(B,)`` within 5 %, bool ``(B,)`` (Sundararajan et al. 2017, proposition 1)."""
    return torch.as_tensor((values.double().sum(1) - wanted.double()).abs() <= TOLERANCE * wanted.double().abs() + ROUNDING)
