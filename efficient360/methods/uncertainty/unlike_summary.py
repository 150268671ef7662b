"""Detectors over several sets: the means that a score may rest on, and what looks wrong."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from efficient360.core.figures import Figure
from efficient360.core.findings import Finding
from efficient360.core.formatting import number
from efficient360.core.measurement import Failure, Outcome, Status
from efficient360.methods.uncertainty.nearness import Kind
from efficient360.methods.uncertainty.unlike_metrics import AUROC
from efficient360.methods.uncertainty.unlike_scores import Scored, means


def summaries(results: Sequence[Scored], fixed: Mapping[str, Sequence[str]], figures: Sequence[Figure]) -> Iterator[Outcome]:
    """Mean AUROC and FPR95 of each detector over fixed sets, over all far ones and over all near ones; which detector did best is not asked.

    Whoever picks the best detector on these images picks it on what it is judged by.

    Args:
        results: Every detector on every set.
        fixed: Sets by what they are called together; a mean over them is missing where one of them is.
        figures: Drawn beside the first.
    """
    for detector in dict.fromkeys(one.detector for one in results):
        mine = {one.unlike: one for one in results if one.detector == detector}
        for over, names in fixed.items():
            if set(names) <= mine.keys():
                yield from means(over, [mine[name] for name in names], figures)
                figures = ()
            else:
                lacking = ", ".join(name for name in names if name not in mine)
                message = f"the mean over {over} wants {lacking}, left out because the model knows what they show"
                hint = "read the mean over noise, or name a data set of your own"
                yield Failure(Status.UNSUPPORTED, "known-classes", message, hint, AUROC, {"detector": detector, "over": over})
        for kind in (Kind.FAR, Kind.NEAR):
            if sorted_so := [one for one in mine.values() if one.kind is kind]:
                yield from means(f"{kind} sets", sorted_so, figures)
                figures = ()


def surer_outside(results: Sequence[Scored]) -> Iterator[Finding]:
    """Sets that score higher than the in-distribution images do, beyond what chance explains.

    Args:
        results: One detector on each set.
    """
    for one in results:
        auroc = float(one.found.auroc[0])
        if float(np.quantile(one.found.auroc[1:], 0.975)) < 0.5:
            yield Finding(
                "surer-outside",
                f"by {one.detector} the model is surer of {one.unlike} than of its own images (AUROC {number(auroc, AUROC)})",
                "don't let its confidence decide what it answers: try a detector on features, or train it with such images",
            )
