"""Rank collapse and oversmoothing: similarity, residual, effective rank and high-frequency share of the tokens from block to block."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.figures import Curve, Series
from efficient360.core.findings import Finding
from efficient360.core.measurement import Failure, Metric, Outcome, Status
from efficient360.core.statistics import bootstrap_mean
from efficient360.errors import Unsupported
from efficient360.evaluator import Scores, ScoreTable
from efficient360.methods.spectral.feature_metrics import (
    BLOCK_AMPLITUDE,
    BLOCK_FULL_RANK,
    BLOCK_HIGH_FREQUENCY_SHARE,
    BLOCK_RANK,
    BLOCK_RESIDUAL,
    BLOCK_SIMILARITY,
    HIGH_FREQUENCY_LOSS,
    HIGH_FREQUENCY_SHARE,
    RELATIVE_LOG_AMPLITUDE,
    TOKEN_RANK,
    TOKEN_RESIDUAL,
    TOKEN_SIMILARITY,
    FeatureOutcomes,
    mean_over_images,
    not_in_artefact,
    unsupported,
)
from efficient360.methods.spectral.fourier import amplitude_spectrum, high_frequency_share, relative_log_amplitude
from efficient360.methods.spectral.stable_rank import effective_rank, squared_singular_values
from efficient360.methods.spectral.token_maps import record_blocks
from efficient360.models.model import Model, TorchModel

FREQUENCIES: Final = (0.25, 0.5, 0.75, 1.0)
"""Shares of the Nyquist frequency at which log amplitudes are recorded."""
WHITE_NOISE: Final = 0.75
"""High-frequency share of white noise."""
OVERSMOOTHED: Final = 0.9
"""Mean cosine similarity of two tokens above which they are nearly identical."""
BLOCK_METRICS: Final = (BLOCK_HIGH_FREQUENCY_SHARE, BLOCK_SIMILARITY, BLOCK_RESIDUAL, BLOCK_RANK, BLOCK_FULL_RANK)
TOKEN_METRICS: Final = (HIGH_FREQUENCY_SHARE, HIGH_FREQUENCY_LOSS, RELATIVE_LOG_AMPLITUDE, TOKEN_SIMILARITY, TOKEN_RESIDUAL, TOKEN_RANK)


def mean_cosine(tokens: Tensor) -> Tensor:
    """Mean cosine similarity over all pairs of different tokens, ``(B,)`` in [-1, 1] up to rounding; 1 if all tokens are alike.

    Args:
        tokens: ``(B, N, channels)``, ``N`` at least 2.
    """
    tokens = tokens.double()
    norms = tokens.norm(dim=2, keepdim=True)
    unit = tokens / torch.where(norms == 0, 1.0, norms)
    n = tokens.shape[1]
    cosine = (unit.sum(1).square().sum(1) - unit.square().sum((1, 2))) / (n * (n - 1))
    return torch.where((norms == 0).all(1)[:, 0], 1.0, cosine).clamp(-1, 1)


def relative_residual(tokens: Tensor) -> Tensor:
    """Relative distance of the tokens from equal ones, ``‖X - 1x̄ᵀ‖ / ‖X‖`` in the Frobenius norm, ``(B,)`` in [0, 1]; 0 if all are alike.

    The residual of Dong, Cordonnier & Loukas 2021, whose theorem uses another norm.

    Args:
        tokens: ``(B, N, channels)``.
    """
    tokens = tokens.double()
    norm = tokens.norm(dim=(1, 2))
    residual = (tokens - tokens.mean(1, keepdim=True)).norm(dim=(1, 2))
    divisor: Tensor = torch.where(norm == 0, 1.0, norm)
    relative: Tensor = (residual / divisor).clamp(0, 1)
    return relative


def effective_ranks(tokens: Tensor) -> Tensor:
    """Effective rank of each map, float64 ``(B,)`` on the CPU, from 1 to ``min(N, channels)``; 0 if all tokens are 0 (Roy & Vetterli 2007).

    Args:
        tokens: ``(B, N, channels)``.
    """
    values = squared_singular_values(tokens).sqrt().numpy()
    return torch.tensor([effective_rank(row) for row in values], dtype=torch.float64)


def block_scores(model: TorchModel, images: Tensor) -> Iterator[Scores]:
    """Scores of the tokens after every block, blocks numbered from 1; none if no block outputs a map of tokens."""
    images = images.to(model.device)
    with torch.no_grad(), record_blocks(model.network, images, model.view, _measure) as blocks:
        model(images)
    for number, (_, scores) in enumerate(blocks, 1):
        for metric, conditions, values in scores:
            yield Scores(metric, values, {"block": number, **conditions})


def _measure(tokens: Tensor) -> list[tuple[Metric, dict[str, float], Tensor]]:
    """Scores of one map ``(B, rows, columns, channels)``."""
    amplitudes, sequence = amplitude_spectrum(tokens), tokens.flatten(1, 2)
    full_rank = torch.full((len(tokens),), float(min(sequence.shape[1:])))
    values = (high_frequency_share(amplitudes), mean_cosine(sequence), relative_residual(sequence), effective_ranks(sequence), full_rank)
    by_frequency = [(BLOCK_AMPLITUDE, {"frequency": f}, relative_log_amplitude(amplitudes, f)) for f in FREQUENCIES]
    return [(metric, {}, column) for metric, column in zip(BLOCK_METRICS, values, strict=True)] + by_frequency


def token_outcomes(model: Model, table: ScoreTable, seed: int) -> FeatureOutcomes:
    """High-frequency share, similarity and rank of the last block's tokens, and the loss of high frequencies; failures if no block outputs a map."""
    if not isinstance(model, TorchModel):
        return unsupported(TOKEN_METRICS, not_in_artefact("the tokens inside the network"))
    blocks = _block_count(table)
    if not blocks:
        message = f"no block of {type(model.network).__name__} outputs a map of tokens"
        return unsupported(TOKEN_METRICS, Unsupported("no-token-maps", message, "evaluate a network of numbered blocks whose tokens cover the image"))
    last = {"block": blocks}
    findings = token_findings(table.column(BLOCK_SIMILARITY, last), table.column(BLOCK_RESIDUAL, last))
    return FeatureOutcomes(list(_outcomes(table, blocks, seed)), list(findings))


def _outcomes(table: ScoreTable, blocks: int, seed: int) -> Iterator[Outcome]:
    last = {"block": blocks}
    figures = (_high_frequencies_by_block(table, blocks, seed), _amplitudes_by_frequency(table, blocks))
    yield mean_over_images(HIGH_FREQUENCY_SHARE, table.column(BLOCK_HIGH_FREQUENCY_SHARE, last), seed, figures)
    yield mean_over_images(RELATIVE_LOG_AMPLITUDE, table.column(BLOCK_AMPLITUDE, {**last, "frequency": 1.0}), seed)
    yield mean_over_images(TOKEN_SIMILARITY, table.column(BLOCK_SIMILARITY, last), seed, (_similarity_and_rank_by_block(table, blocks),))
    yield mean_over_images(TOKEN_RESIDUAL, table.column(BLOCK_RESIDUAL, last), seed)
    yield mean_over_images(TOKEN_RANK, table.column(BLOCK_RANK, last), seed)
    if blocks > 1:
        yield mean_over_images(HIGH_FREQUENCY_LOSS, -_slopes(_by_block(table, BLOCK_HIGH_FREQUENCY_SHARE, blocks)), seed)
    else:
        yield Failure(Status.UNSUPPORTED, "one-block", "a single block has no trend through depth", "evaluate a deeper network", HIGH_FREQUENCY_LOSS)


def token_findings(similarity: NDArray[np.float64], residual: NDArray[np.float64]) -> Iterator[Finding]:
    """Oversmoothing: whether the last block's tokens of an image are nearly identical, from ``(n,)`` each."""
    cosine = float(similarity.mean())
    if cosine > OVERSMOOTHED:
        message = (
            f"after the last block two tokens of an image have a mean cosine similarity of {cosine:.2f}, "
            f"and their differences are {100 * float(residual.mean()):.0f} % of their norm: they are nearly identical (oversmoothing)"
        )
        yield Finding("similar-tokens", message, "expect little of it in dense tasks such as segmentation or detection; later blocks may be prunable")


def _block_count(table: ScoreTable) -> int:
    """Number of blocks in a table of scores."""
    name = BLOCK_HIGH_FREQUENCY_SHARE.name
    return max((int(dict(conditions)["block"]) for metric, conditions in table.columns if metric == name), default=0)  # type: ignore[call-overload]


def _by_block(table: ScoreTable, metric: Metric, blocks: int) -> NDArray[np.float64]:
    """One metric after each block, ``(n, blocks)``."""
    return np.stack([table.column(metric, {"block": block}) for block in range(1, blocks + 1)], axis=1)


def _slopes(values: NDArray[Any]) -> NDArray[np.float64]:
    """Least-squares slope of each row, ``(n,)``, with the first of its columns at 0 and the last at 1.

    Args:
        values: ``(n, blocks)``, at least 2 blocks.
    """
    depth = np.linspace(0, 1, values.shape[1])
    depth = depth - depth.mean()
    slopes: NDArray[np.float64] = values @ depth / (depth @ depth)
    return slopes


def _high_frequencies_by_block(table: ScoreTable, blocks: int, seed: int) -> Curve:
    x = tuple(float(block) for block in range(1, blocks + 1))
    values = _by_block(table, BLOCK_HIGH_FREQUENCY_SHARE, blocks)
    intervals = [bootstrap_mean(column, seed) for column in values.T]
    series = Series("tokens", x, _means(values), tuple(i.low for i in intervals), tuple(i.high for i in intervals))
    noise = Series("white noise", (x[0], x[-1]), (WHITE_NOISE, WHITE_NOISE), style="reference")
    return Curve("High-frequency share by block", "block", "share of energy above half the Nyquist frequency", (noise, series))


def _amplitudes_by_frequency(table: ScoreTable, blocks: int) -> Curve:
    """After the first, a middle and the last block."""
    series = []
    for block in sorted({1, (blocks + 1) // 2, blocks}):
        y = [float(table.column(BLOCK_AMPLITUDE, {"block": block, "frequency": f}).mean()) for f in FREQUENCIES]
        series.append(Series(f"block {block}", (0.0, *FREQUENCIES), (0.0, *y)))
    return Curve("Relative log amplitude of the tokens", "frequency (share of Nyquist)", "log amplitude relative to frequency 0", tuple(series))


def _similarity_and_rank_by_block(table: ScoreTable, blocks: int) -> Curve:
    x = tuple(float(block) for block in range(1, blocks + 1))
    lines = (
        ("mean cosine similarity", _by_block(table, BLOCK_SIMILARITY, blocks)),
        ("residual (distance from equal tokens)", _by_block(table, BLOCK_RESIDUAL, blocks)),
        ("effective rank, share of full rank", _by_block(table, BLOCK_RANK, blocks) / _by_block(table, BLOCK_FULL_RANK, blocks)),
    )
    return Curve("Token similarity and rank by block", "block", "0 to 1", tuple(Series(name, x, _means(values)) for name, values in lines))


def _means(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(mean) for mean in values.mean(0))
