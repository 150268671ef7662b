"""Charts against plotly's own validator, and against what a reader must see."""

import itertools
import json
import math

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360.core.figures import Bars, Curve, Heatmap, Series
from efficient360.reports import theme
from efficient360.reports.charts import chart
from efficient360.reports.radar import neighbours, outline, overlay, radar
from efficient360.reports.report import axes_of

FIGURES: list[Curve | Bars | Heatmap] = [synthetic.reliability(), synthetic.growth(), synthetic.risk(), synthetic.by_class(), synthetic.corruptions()]
MANY = Bars("many", "class", "accuracy", tuple(f"class {i}" for i in range(100)), tuple(i / 100 for i in range(100)))


@pytest.mark.parametrize("figure", [*FIGURES, MANY], ids=lambda f: f.title)
def test_plotly_accepts_every_chart_and_it_is_strict_json(figure: Curve | Bars | Heatmap) -> None:
    drawn = chart(figure)
    go.Figure(drawn)
    json.dumps(drawn, allow_nan=False)


def test_plotly_accepts_the_radar() -> None:
    go.Figure(radar(synthetic.report().axes))
    go.Figure(overlay(["a", "b", "c"], [("first", [0.1, None, 0.3]), ("second", [0.5, 0.5, 0.5])]))


def test_plotly_refuses_a_broken_chart() -> None:
    broken = chart(FIGURES[0])
    broken["layout"]["xaxis"]["no_such_key"] = 1
    with pytest.raises(ValueError, match="no_such_key"):
        go.Figure(broken)


@pytest.mark.parametrize(
    ("scores", "stretches"),
    [
        ([1, 1, 1, 1], [[0, 1, 2, 3]]),
        ([None, None], []),
        ([], []),
        ([1, None, 1, 1], [[2, 3, 0]]),
        ([1, None, 1, None], [[2], [0]]),
        ([None, 1, 1, None, 1], [[1, 2], [4]]),
    ],
)
def test_neighbours_run_over_the_top_and_stop_at_gaps(scores: list[float | None], stretches: list[list[int]]) -> None:
    assert neighbours(scores) == stretches


def segments(scores: list[float | None]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The lines that are drawn: pairs of neighbouring points of the line trace without a gap between them."""
    line = outline(scores, [""] * len(scores), "", 0)[1]
    points = list(zip(line["r"], line["theta"], strict=True))
    return [(a, b) for a, b in itertools.pairwise(points) if a[0] is not None and b[0] is not None]


@given(st.lists(st.none() | st.floats(0.01, 1), min_size=1, max_size=15))
def test_a_line_joins_only_neighbouring_measured_axes(scores: list[float | None]) -> None:
    step = 360 / len(scores)
    for (r1, t1), (r2, t2) in segments(scores):
        i, j = round(t1 / step), round(t2 / step)
        if 0.0 in (r1, r2):
            assert i == j, "a spoke stays on its own axis"
        else:
            assert scores[i] == r1
            assert scores[j] == r2
            assert (j - i) % len(scores) == 1 or len(scores) == 1


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=15))
def test_every_measured_axis_has_its_point_and_no_gap_has_one(scores: list[float | None]) -> None:
    dots = outline(scores, [str(i) for i in range(len(scores))], "", 0)[2]
    measured = [i for i, s in enumerate(scores) if s is not None]
    assert dots["r"] == [scores[i] for i in measured]
    assert dots["text"] == [str(i) for i in measured]


def test_a_whole_radar_is_closed_without_its_centre() -> None:
    line = outline([0.5, 0.6, 0.7], ["", "", ""], "", 0)[1]
    assert line["r"] == [0.5, 0.6, 0.7, 0.5, None]
    assert line["theta"] == [0.0, 120.0, 240.0, 0.0, None]


def test_axes_run_clockwise_from_the_top_and_gaps_are_grey() -> None:
    axes = synthetic.report().axes
    angular = radar(axes)["layout"]["polar"]["angularaxis"]
    assert (angular["direction"], angular["rotation"], len(angular["tickvals"])) == ("clockwise", 90, 13)
    labels = dict(zip((a.dimension.name for a in axes), angular["ticktext"], strict=True))
    assert "<b>0.89</b>" in labels["performance"]
    assert "not measured" in labels["latency"]
    assert theme.LIGHT["faint"] in labels["latency"]
    assert "1 of 2 measured" in labels["memory"]
    assert theme.LIGHT["faint"] not in labels["performance"]


def test_an_overlay_greys_what_none_of_its_runs_has() -> None:
    first, second, third = overlay(["a", "b", "c"], [("x", [0.1, None, None]), ("y", [None, 0.2, None])])["layout"]["polar"]["angularaxis"]["ticktext"]
    assert (first, second) == ("a", "b")
    assert "not measured" in third


def test_an_empty_report_draws_no_point() -> None:
    data = radar(axes_of(synthetic.dimensions(), []))["data"]
    assert all(r is None for trace in data for r in trace["r"])


def test_what_is_not_finite_becomes_a_gap() -> None:
    drawn = chart(Curve("c", "x", "y", (Series("s", (1.0, 2.0), (math.nan, math.inf)),)))
    assert drawn["data"][0]["y"] == [None, None]


def test_intervals_become_error_bars_and_bands() -> None:
    bars = chart(synthetic.by_class())["data"][0]
    assert bars["error_x"]["arrayminus"] == pytest.approx([0.05] * 10)
    assert bars["error_x"]["array"] == pytest.approx([0.03] * 10)
    band, line, _ = chart(synthetic.risk())["data"]
    assert band["fill"] == "toself"
    assert len(band["x"]) == 2 * len(line["x"])


def test_a_reliability_diagram_is_square_and_others_are_not() -> None:
    assert chart(synthetic.reliability())["layout"]["yaxis"]["scaleanchor"] == "x"
    assert "scaleanchor" not in chart(synthetic.risk())["layout"]["yaxis"]


def test_names_are_escaped_and_equal_names_stay_apart() -> None:
    drawn = chart(Bars("t", "x", "y", ("<b>a</b>", "<b>a</b>"), (0.1, 0.2)))
    assert drawn["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;a&lt;/b&gt;"] * 2
    assert drawn["data"][0]["y"] == [0, 1]


@pytest.mark.parametrize(("values", "notation"), [((0.001, 1.0), "none"), ((5e6, 2e9), "SI"), ((0.0, 1e-7, 0.1), "power"), ((0.5, 2e4), "SI")])
def test_a_logarithmic_axis_says_rates_plainly_and_large_numbers_with_prefixes(values: tuple[float, ...], notation: str) -> None:
    ones = (1.0,) * len(values)
    layout = chart(Curve("c", "x", "y", (Series("s", values, ones),), x_log=True, y_log=True))["layout"]
    assert (layout["xaxis"]["type"], layout["xaxis"]["exponentformat"]) == ("log", notation)
    assert layout["yaxis"]["exponentformat"] == "none"


def test_a_number_below_zero_has_a_minus() -> None:
    assert chart(Heatmap("h", "", "", ("a", "b"), ("c",), ((-0.25, 0.5),)))["data"][0]["text"] == [["−0.25", "0.50"]]


def test_a_missing_cell_is_blank() -> None:
    trace = chart(synthetic.corruptions())["data"][0]
    assert trace["z"][2][4] is None
    assert trace["text"][2][4] == ""


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", ["ink", "muted", "faint", "accent", "caution", *theme.SERIES])
@pytest.mark.parametrize("ground", ["paper", "sheet"])
def test_text_meets_wcag_aa(colours: dict[str, str], role: str, ground: str) -> None:
    first, second = sorted((luminance(colours[role]), luminance(colours[ground])))
    assert (second + 0.05) / (first + 0.05) >= 4.5


def test_every_light_colour_has_one_dark_counterpart() -> None:
    assert theme.LIGHT.keys() == theme.DARK.keys()
    assert len(set(theme.LIGHT.values())) == len(theme.LIGHT)
