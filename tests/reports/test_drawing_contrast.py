"""Text on a heat map's cells reaches 4.5:1 in both themes, whatever the cell's value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.figures import Heatmap
from efficient360.reports import theme
from efficient360.reports.drawing.contrast import BLACK, WHITE, mixed, ratio, rgb, text_role
from efficient360.reports.drawing.heatmap import heatmap
from efficient360.reports.drawing.marks import Box, Label

AA = 4.5


def test_ratios_are_those_of_wcag() -> None:
    assert ratio(rgb(BLACK), rgb(WHITE)) == pytest.approx(21)
    assert ratio(rgb("#777777"), rgb(WHITE)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", ["alarm", "caution", "muted"])
def test_the_words_of_alerts_stand_out(colours: dict[str, str], role: str) -> None:
    assert min(ratio(rgb(colours[role]), rgb(colours[ground])) for ground in ("paper", "sheet")) >= AA


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@given(st.floats(0, 1))
def test_text_stands_out_on_every_cell(colours: dict[str, str], share: float) -> None:
    cell = mixed(colours["heat"], colours["accent"], share)
    assert ratio(rgb(colours[text_role(share)]), cell) >= AA


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_so_it_does_in_the_drawing(colours: dict[str, str]) -> None:
    values = tuple(tuple((r * 10 + c) / 99 for c in range(10)) for r in range(10))
    columns = tuple(str(c) for c in range(10))
    drawing = heatmap(Heatmap("all", "", "", columns, columns, values))
    cells = [m for m in drawing.marks if isinstance(m, Box) and m.tip]
    texts = [m for m in drawing.marks if isinstance(m, Label) and m.tip]
    assert len(cells) == len(texts) == 100
    for cell, label in zip(cells, texts, strict=True):
        assert cell.tip == label.tip
        assert ratio(rgb(colours[label.role]), mixed(colours["heat"], colours["accent"], cell.paint.opacity)) >= AA
