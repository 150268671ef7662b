"""What a report shows of uncertainty: every method beside the plain answer, and how unsure right and wrong answers are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from efficient360.core.figures import Curve, Series, Table
from efficient360.core.formatting import number
from efficient360.methods.uncertainty.calibration_error import calibration_error
from efficient360.methods.uncertainty.calibration_metrics import BRIER, ECE, NLL
from efficient360.methods.uncertainty.confidence_levels import levels_of
from efficient360.methods.uncertainty.uncertain_answers import BINS as CALIBRATION_BINS
from efficient360.methods.uncertainty.uncertain_answers import POINT, Answered, errors_told
from efficient360.methods.uncertainty.uncertainty_metrics import ERROR_AUROC

BINS: Final = 25


def methods_table(of: Sequence[Answered]) -> Table:
    """Accuracy, proper scores and error detection of every method, the plain answer first."""
    return Table(
        "Averaged answers beside the plain one",
        ("Method", "Right", "NLL", "Brier", "ECE", "Errors told by entropy", "by mutual information"),
        tuple(_row(one) for one in of),
    )


def _row(of: Answered) -> tuple[str, ...]:
    told = dict(of.signals())
    levels = levels_of(np.clip(of.answers.probability.max(axis=1), 0, 1), of.right.astype(np.float64))
    return (
        of.method,
        f"{100 * of.right.mean():.1f} %",
        number(float(of.nll.mean()), NLL),
        number(float(of.brier.mean()), BRIER),
        number(float(calibration_error(levels, CALIBRATION_BINS)[0]), ECE),
        *(_auroc(errors_told(of, told[name])) if name in told else "–" for name in ("entropy", "mutual information")),
    )


def _auroc(value: float | None) -> str:
    return "–" if value is None else number(value, ERROR_AUROC)


def entropy_figure(of: Answered) -> Curve:
    """How the chosen signal is spread over right and over wrong answers: mutual information of averaged answers, entropy of plain ones."""
    name, signal = list(of.signals())[-1]
    sides = {"right": signal[of.right], "wrong": signal[~of.right]}
    edges = np.linspace(0, float(signal.max()) + 1e-9, BINS + 1)
    middles = tuple(((edges[1:] + edges[:-1]) / 2).tolist())
    series = tuple(Series(side, middles, tuple((np.histogram(values, edges)[0] / len(values)).tolist())) for side, values in sides.items() if len(values))
    title = f"{name.capitalize()} of right and wrong answers" + ("" if of.method == POINT else f", {of.method}")
    return Curve(title, f"{name} (nat)", "share of answers", series)
