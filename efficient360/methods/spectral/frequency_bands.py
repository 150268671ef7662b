"""Images of which only a band of frequencies is left."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Band:
    """Frequencies above ``low`` up to ``high``, as shares of the highest one, in the direction in which they are higher (square bands, as Yin et al. 2019).

    Args:
        low: From 0.
        high: Up to 1, above ``low``.
    """

    low: float
    high: float

    def kept(self, height: int, width: int) -> Tensor:
        """Whether a frequency of the real transform is in the band, bool ``(H, W // 2 + 1)``; frequency 0 always is."""
        rows = torch.fft.fftfreq(height, dtype=torch.float64).abs() * 2
        columns = torch.fft.rfftfreq(width, dtype=torch.float64) * 2
        frequency = torch.maximum(rows[:, None], columns[None, :])
        kept = (frequency > self.low) & (frequency <= self.high)
        kept[0, 0] = True
        return kept


def filtered(images: Tensor, band: Band) -> Tensor:
    """The images with the frequencies of a band and their mean colour, float32 ``(B, 3, H, W)``, not clipped.

    The mean colour stays whatever the band: without it a high-pass image would be half below black.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        band: Which frequencies are left.
    """
    height, width = images.shape[2:]
    transformed = torch.fft.rfft2(images.double()) * band.kept(height, width).to(images.device)
    left: Tensor = torch.fft.irfft2(transformed, s=(height, width)).float()
    return left
