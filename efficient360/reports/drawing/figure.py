"""Every kind of figure as a drawing."""

from efficient360.core.figures import Bars, Curve, Heatmap
from efficient360.reports.drawing.bars import bars
from efficient360.reports.drawing.curve import curve
from efficient360.reports.drawing.heatmap import heatmap
from efficient360.reports.drawing.marks import Drawing

Drawn = Curve | Bars | Heatmap
"""Figures that are drawn; tables and galleries are plain HTML."""


def draw(figure: Drawn) -> Drawing:
    """``figure`` as a drawing of about 440 px width. No number of it is NaN or infinite: such values are gaps."""
    if isinstance(figure, Curve):
        return curve(figure)
    return bars(figure) if isinstance(figure, Bars) else heatmap(figure)
