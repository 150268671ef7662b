"""Series that share a chart can be told apart: by colour with any colour vision, and by dash and marker without colour."""

import itertools

import pytest
from colour_vision import VISION, distance

from efficient360.reports import theme
from efficient360.reports.drawing.series import style

LEAST = 20.0
"""ΔE*ab; 10 is told apart at a glance."""


def test_the_simulation_knows_confusion_colours() -> None:
    assert distance("#ffffff", "#000000", "normal") == pytest.approx(100, abs=0.1)
    assert distance("#ff0000", "#00ff00", "normal") == pytest.approx(170.6, abs=0.5)
    assert distance("#b3500c", "#6b6300", "protanopia") < 3 < 20 < distance("#b3500c", "#6b6300", "normal")


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_any_two_series_differ_in_colour(colours: dict[str, str], vision: str) -> None:
    pairs = itertools.combinations(theme.SERIES, 2)
    closest = min((distance(colours[a], colours[b], vision), a, b) for a, b in pairs)
    assert closest[0] >= LEAST, closest


def test_any_two_of_42_series_differ_without_colour_or_with_it() -> None:
    styles = [style(i) for i in range(42)]
    assert len(set(styles)) == 42
    for a, b in itertools.combinations(styles[:7], 2):
        assert a.dash != b.dash
        assert a.form != b.form


def test_series_of_one_colour_differ_in_dash_and_marker() -> None:
    for a, b in itertools.combinations([style(i) for i in range(42)], 2):
        assert a.role != b.role or (a.dash != b.dash and a.form != b.form)
