"""What a report shows of images out of distribution: the scores of either side, and every detector on every set."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import number
from efficient360.methods.uncertainty.detectors import MSP
from efficient360.methods.uncertainty.unlike_metrics import AUROC
from efficient360.methods.uncertainty.unlike_scores import Scored

BINS: Final = 30
MOST_SETS, MOST_ROWS = 5, 14


def scores_figure(of: Sequence[Scored]) -> Curve:
    """How one detector's scores are spread over in-distribution images and over each set: the less they overlap, the better it tells them apart.

    Args:
        of: One detector on each set, at least one; more than five sets are cut to the first five.
    """
    shown = of[:MOST_SETS]
    confident = shown[0].detector == MSP
    sides = [_seen(shown[0].inside, confident), *(_seen(one.outside, confident) for one in shown)]
    edges = np.linspace(min(side.min() for side in sides), max(side.max() for side in sides) + 1e-9, BINS + 1)
    names = ["in distribution", *(one.unlike for one in shown)]
    label = "largest softmax probability" if confident else f"score of {shown[0].detector}"
    return Curve(
        f"Scores of {shown[0].detector} in and out of distribution",
        label,
        "share of images",
        tuple(_series(name, side, edges) for name, side in zip(names, sides, strict=True)),
    )


def _seen(scores: Floats, confident: bool) -> Floats:
    return np.exp(scores) if confident else scores


def _series(name: str, side: Floats, edges: Floats) -> Series:
    counts, _ = np.histogram(side, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    return Series(name, tuple(middles.tolist()), tuple((counts / len(side)).tolist()))


def sets_table(of: Sequence[Scored]) -> Table:
    """AUROC of every detector on every set; more than fourteen sets are cut to the first fourteen."""
    detectors = list(dict.fromkeys(one.detector for one in of))
    sets = list(dict.fromkeys((one.unlike, str(one.kind), len(one.outside)) for one in of))[:MOST_ROWS]
    at = {(one.detector, one.unlike): number(float(one.found.auroc[0]), AUROC) for one in of}
    rows: tuple[tuple[str | int | float, ...], ...] = tuple((name, kind, n, *(at[detector, name] for detector in detectors)) for name, kind, n in sets)
    return Table("AUROC by set and detector", ("Set", "Kind", "Images", *detectors), rows)
