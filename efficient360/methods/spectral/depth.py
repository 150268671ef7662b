"""What happens to tokens from block to block, of each image."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.measurement import Metric
from efficient360.evaluator import Scores, ScoreTable
from efficient360.methods.spectral.feature_metrics import BLOCK_AMPLITUDE, BLOCK_FULL_RANK, BLOCK_RANK, BLOCK_RESIDUAL, BLOCK_SHARE, BLOCK_SIMILARITY
from efficient360.methods.spectral.fourier import high_frequency_share, relative_log_amplitude, spectrum
from efficient360.methods.spectral.rank_collapse import effective_ranks, mean_cosine, residual
from efficient360.methods.spectral.token_maps import blocks_watched
from efficient360.models.model import TorchModel

FREQUENCIES: Final = (0.25, 0.5, 0.75, 1.0)
"""Shares of the highest frequency at which log amplitudes are kept."""
PLAIN: Final = (BLOCK_SHARE, BLOCK_SIMILARITY, BLOCK_RESIDUAL, BLOCK_RANK, BLOCK_FULL_RANK)


def through_depth(model: TorchModel, images: Tensor) -> Iterator[Scores]:
    """Scores of every block's tokens, blocks numbered from 1; none where no block gives out a map of tokens."""
    images = images.to(model.device)
    with torch.no_grad(), blocks_watched(model.network, images, _scores_of) as seen:
        model(images)
    for number, (_, scores) in enumerate(seen, 1):
        for metric, conditions, values in scores:
            yield Scores(metric, values, {"block": number, **conditions})


def _scores_of(tokens: Tensor) -> list[tuple[Metric, dict[str, float], Tensor]]:
    """Of one map ``(B, rows, columns, channels)``."""
    amplitudes, sequence = spectrum(tokens), tokens.flatten(1, 2)
    most = torch.full((len(tokens),), float(min(sequence.shape[1:])))
    plain = (high_frequency_share(amplitudes), mean_cosine(sequence), residual(sequence), effective_ranks(sequence), most)
    at = [(BLOCK_AMPLITUDE, {"frequency": f}, relative_log_amplitude(amplitudes, f)) for f in FREQUENCIES]
    return [(metric, {}, values) for metric, values in zip(PLAIN, plain, strict=True)] + at


def blocks_in(table: ScoreTable) -> int:
    """How many blocks a table of scores tells of."""
    return max((int(dict(conditions)["block"]) for name, conditions in table.columns if name == BLOCK_SHARE.name), default=0)  # type: ignore[call-overload]


def columns(table: ScoreTable, metric: Metric, blocks: Sequence[int], **conditions: float) -> NDArray[np.float64]:
    """One metric at some blocks, ``(n, len(blocks))``."""
    return np.stack([table.column(metric, {"block": block, **conditions}) for block in blocks], axis=1)


def slope(values: NDArray[Any]) -> NDArray[np.float64]:
    """Slope of the straight line through each row by least squares, ``(n,)``, with the first of its columns at 0 and the last at 1.

    Args:
        values: ``(n, blocks)``, at least 2 blocks.
    """
    place = np.linspace(0, 1, values.shape[1])
    place = place - place.mean()
    found: NDArray[np.float64] = values @ place / (place @ place)
    return found
