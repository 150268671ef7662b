"""What is told of attention."""

from collections.abc import Iterator
from typing import Final

from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.errors import Unsupported
from efficient360.methods.spectral import attention_table as measures
from efficient360.methods.spectral import feature_pictures
from efficient360.methods.spectral.attention_table import AttentionTable
from efficient360.methods.spectral.feature_findings import of_attention
from efficient360.methods.spectral.feature_metrics import DISTANCE, ENTROPY, RESPONSE
from efficient360.methods.spectral.part import Part, mean, nothing

METRICS: Final = (RESPONSE, ENTROPY, DISTANCE)


def by_layer(table: AttentionTable, network: str, seed: int) -> Part:
    """Response, entropy and distance, mean over layers and heads.

    Args:
        table: Of every layer.
        network: Name of the architecture, for messages.
        seed: Of the intervals.
    """
    return Part(list(_outcomes(table, network, seed)), list(of_attention(table)))


def _outcomes(table: AttentionTable, network: str, seed: int) -> Iterator[Outcome]:
    yield mean(RESPONSE, table.by_image(measures.RESPONSE), seed, (feature_pictures.attention(table),))
    yield mean(ENTROPY, table.by_image(measures.ENTROPY), seed)
    distance = table.by_image(measures.DISTANCE)
    if len(distance):
        yield mean(DISTANCE, distance, seed, (feature_pictures.distances(table),))
    else:
        message = f"it is not known how the tokens lie that attention of {network} looks at"
        yield Failure(Status.UNSUPPORTED, "no-places", message, "read its entropy and response", DISTANCE)


def without(network: str) -> Part:
    """Why there is nothing to tell.

    Args:
        network: Name of the architecture.
    """
    message = f"{network} shows no attention between its tokens: it has none, or never writes it down"
    return nothing(METRICS, Unsupported("no-attention", message, "the spectra of its tokens tell how it mixes them"))
