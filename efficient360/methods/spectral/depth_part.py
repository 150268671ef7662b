"""What is told of the tokens through depth."""

from collections.abc import Iterator
from typing import Final

from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.errors import Unsupported
from efficient360.evaluator import ScoreTable
from efficient360.methods.spectral import feature_pictures
from efficient360.methods.spectral.depth import blocks_in, columns, slope
from efficient360.methods.spectral.feature_findings import of_tokens
from efficient360.methods.spectral.feature_metrics import (
    BLOCK_AMPLITUDE,
    BLOCK_RANK,
    BLOCK_RESIDUAL,
    BLOCK_SHARE,
    BLOCK_SIMILARITY,
    HIGH_LOSS,
    HIGH_SHARE,
    LOG_AMPLITUDE,
    RANK,
    RESIDUAL,
    SIMILARITY,
)
from efficient360.methods.spectral.part import Part, deployed, mean, nothing
from efficient360.models.model import Model, TorchModel

METRICS: Final = (HIGH_SHARE, HIGH_LOSS, LOG_AMPLITUDE, SIMILARITY, RESIDUAL, RANK)


def through_blocks(model: Model, table: ScoreTable, seed: int) -> Part:
    """Detail, similarity and rank of the last block's tokens, and how fast detail is lost; failures where no block gives out a map."""
    blocks = blocks_in(table)
    if not isinstance(model, TorchModel):
        return nothing(METRICS, deployed("the tokens within the network"))
    if not blocks:
        message = f"no block of {type(model.network).__name__} gives out a map of tokens"
        return nothing(METRICS, Unsupported("no-token-maps", message, "evaluate a network of numbered blocks whose tokens cover the image"))
    last = {"block": blocks}
    warned = of_tokens(table.column(BLOCK_SIMILARITY, last), table.column(BLOCK_RESIDUAL, last))
    return Part(list(_outcomes(table, blocks, seed)), list(warned))


def _outcomes(table: ScoreTable, blocks: int, seed: int) -> Iterator[Outcome]:
    last = {"block": blocks}
    pictures = (feature_pictures.detail(table, blocks, seed), feature_pictures.amplitudes(table, blocks))
    yield mean(HIGH_SHARE, table.column(BLOCK_SHARE, last), seed, pictures)
    yield mean(LOG_AMPLITUDE, table.column(BLOCK_AMPLITUDE, {**last, "frequency": 1.0}), seed)
    yield mean(SIMILARITY, table.column(BLOCK_SIMILARITY, last), seed, (feature_pictures.tokens(table, blocks),))
    yield mean(RESIDUAL, table.column(BLOCK_RESIDUAL, last), seed)
    yield mean(RANK, table.column(BLOCK_RANK, last), seed)
    if blocks > 1:
        yield mean(HIGH_LOSS, -slope(columns(table, BLOCK_SHARE, range(1, blocks + 1))), seed)
    else:
        yield Failure(Status.UNSUPPORTED, "one-block", "a single block has no way through depth", "evaluate a deeper network", HIGH_LOSS)
