"""Which filters images are shown through, and what is told of the accuracy behind them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import mean_interval
from efficient360.evaluator import ScoreTable
from efficient360.methods.spectral import feature_pictures
from efficient360.methods.spectral.feature_metrics import BAND_PASS, CLEAN, HIGH_PASS, LOW_PASS
from efficient360.methods.spectral.frequency_bands import Band
from efficient360.methods.spectral.part import Part


def filters(edges: Sequence[float]) -> Iterator[tuple[Metric, Conditions, Band]]:
    """A low-pass and a high-pass filter at each cutoff, then a band between each and the next.

    Args:
        edges: Cutoffs ascending, as shares of the highest frequency.
    """
    for edge in edges:
        yield LOW_PASS, {"cutoff": edge}, Band(0, edge)
        yield HIGH_PASS, {"cutoff": edge}, Band(edge, 1)
    for low, high in pairwise(edges):
        yield BAND_PASS, {"from": low, "to": high}, Band(low, high)


def accuracies(table: ScoreTable, edges: Sequence[float], seed: int) -> Part:
    """Accuracy behind each filter, with one picture of all."""
    hits = [(metric, conditions, table.column(metric, conditions)) for metric, conditions, _ in filters(edges)]
    low, high, bands = ([float(values.mean()) for one, _, values in hits if one is metric] for metric in (LOW_PASS, HIGH_PASS, BAND_PASS))
    picture = feature_pictures.filters(edges, low, high, bands, float(table.column(CLEAN).mean()))
    outcomes: list[Outcome] = []
    for metric, conditions, values in hits:
        extra = () if outcomes else (picture,)
        outcomes.append(Measurement(metric, float(values.mean()), len(values), mean_interval(values, seed), conditions, extra=extra))
    return Part(outcomes)


def untrained(edges: Sequence[float]) -> Part:
    """Why random weights have no accuracy."""
    message, hint = "random weights: the accuracy on filtered images would mean nothing", "evaluate a trained checkpoint"
    return Part([Failure(Status.UNSUPPORTED, "random-weights", message, hint, metric, conditions) for metric, conditions, _ in filters(edges)])
