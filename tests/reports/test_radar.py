"""The radar as plotly JSON: against plotly's own validator, and against what a reader must see."""

import itertools

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360.reports import theme
from efficient360.reports.radar import neighbours, outline, overlay, radar
from efficient360.reports.report import axes_of


def test_plotly_accepts_the_radar() -> None:
    go.Figure(radar(synthetic.report().axes))
    go.Figure(overlay(["a", "b", "c"], [("first", [0.1, None, 0.3]), ("second", [0.5, 0.5, 0.5])]))


def test_plotly_refuses_a_broken_chart() -> None:
    broken = radar(synthetic.report().axes)
    broken["layout"]["polar"]["no_such_key"] = 1
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
