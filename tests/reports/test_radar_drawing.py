"""The radar as a drawing: intervals as bands, gaps as gaps, several runs told apart, labels clear of one another."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_drawings import clashes, outside

import synthetic
from efficient360.core.measurement import ONE, Better, Interval, Measurement, Metric
from efficient360.dimensions.dimension import Anchor, Dimension, Scale
from efficient360.reports.drawing.marks import Dot, Label, Shape
from efficient360.reports.drawing.radar import NARROW, WIDE, RadarRun, RadarSize, overlay, radar
from efficient360.reports.drawing.text import corners
from efficient360.reports.report import Axis, SummaryMetric
from efficient360.reports.score_interval import ScoreInterval, score_interval

SHARE = Metric("share", ONE, Better.HIGHER, "A share.", "", 0, 1)
COST = Metric("cost", ONE, Better.LOWER, "A cost.", "", 0)
TITLES = [dimension.title for dimension in sorted(synthetic.dimensions(), key=lambda d: d.order)]


def part(value: float, interval: Interval | None, anchor: Anchor | None = None, repeatable: bool = True) -> SummaryMetric:
    anchor = anchor or Anchor("e", "share", 0.0, 1.0, "bounds")
    metric = SHARE if anchor.metric == "share" else COST
    return SummaryMetric(anchor, Measurement(metric, value, 10, interval, repeatable=repeatable), anchor.score(value), "")


def axis_of(*parts: SummaryMetric, title: str = "Axis") -> Axis:
    scores = [p.score for p in parts if p.score is not None]
    whole = bool(parts) and len(scores) == len(parts)
    return Axis(Dimension("axis", title, "Is it?", 1, [p.anchor for p in parts]), parts, sum(scores) / len(scores) if whole else None, 1.0)


def gap(title: str) -> Axis:
    anchor = Anchor("e", "share", 0.0, 1.0, "bounds")
    return Axis(Dimension("axis", title, "Is it?", 1, [anchor]), [SummaryMetric(anchor, None, None, "not run")], None, 0.0)


def run(scores: list[float | None], name: str = "run") -> RadarRun:
    spans = [None if s is None else Interval(max(0.0, s - 0.05), min(1.0, s + 0.05), "wilson") for s in scores]
    axes = [gap(title) if s is None else axis_of(part(s, span), title=title) for s, span, title in zip(scores, spans, TITLES, strict=False)]
    return RadarRun(name, axes)


def test_an_interval_goes_through_the_anchors() -> None:
    latency = Anchor("e", "cost", 1.0, 0.01, "one second; 10 ms", scale=Scale.LOG)
    assert score_interval(axis_of(part(0.1, Interval(0.01, 1.0, "order"), latency))) == ScoreInterval(0.0, 1.0)
    at_least = score_interval(axis_of(part(0.1, Interval(0.001, 0.1, "order"), latency)))
    assert at_least is not None
    assert (at_least.low, at_least.high) == pytest.approx((0.5, 1.0)), "clipped at the anchor"
    both = score_interval(axis_of(part(0.5, Interval(0.4, 0.6, "wilson")), part(1.0, None)))
    assert both is not None
    assert (both.low, both.high) == pytest.approx((0.7, 0.8))
    assert both.text == "0.70 – 0.80"


@pytest.mark.parametrize(
    "uncertain",
    [part(0.5, None, repeatable=False), part(0.5, Interval(0.4, 0.6, "range", level=None))],
    ids=["no interval", "a range of repeats"],
)
def test_what_has_no_confidence_interval_gives_the_score_none(uncertain: SummaryMetric) -> None:
    axis = axis_of(uncertain, part(0.5, Interval(0.4, 0.6, "wilson")))
    assert axis.score == 0.5
    assert score_interval(axis) is None
    hollow = [m for m in radar(RadarRun("r", [axis])).marks if isinstance(m, Dot) and m.tip]
    assert [m.paint.fill for m in hollow] == ["paper"]
    assert "no interval" in hollow[0].tip


def test_a_missing_score_has_no_interval() -> None:
    assert score_interval(gap("Axis")) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
def test_a_score_lies_in_its_interval(values: list[tuple[float, float, float]]) -> None:
    parts = [part(sorted(v)[1], Interval(min(v), max(v), "wilson")) for v in values]
    axis = axis_of(*parts)
    sure = score_interval(axis)
    assert sure is not None
    assert axis.score is not None
    assert 0 <= sure.low <= axis.score <= sure.high <= 1


def test_the_interval_of_a_mean_covers_at_least_as_often_as_its_parts_do() -> None:
    rng = np.random.default_rng(0)
    for correlation in (0.0, 0.5, 1.0, -0.9):
        cov = [[0.03**2, correlation * 0.03 * 0.05], [correlation * 0.03 * 0.05, 0.05**2]]
        found = rng.multivariate_normal([0.4, 0.6], cov, 4000).clip(0.01, 0.99)
        half = 1.96 * np.array([0.03, 0.05])
        low, high = (found - half).clip(0, 1).mean(axis=1), (found + half).clip(0, 1).mean(axis=1)
        assert ((low <= 0.5) & (high >= 0.5)).mean() >= 0.945


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@given(st.lists(st.none() | st.floats(0, 1), min_size=13, max_size=13))
def test_labels_keep_clear_and_inside(size: RadarSize, scores: list[float | None]) -> None:
    for drawing in (radar(run(scores), size), overlay([run(scores), run(scores[::-1], "another")], size)):
        # What the rings stand for may lie under a line.
        titles = dataclasses.replace(drawing, marks=tuple(m for m in drawing.marks if isinstance(m, Label) and not (m.role == "faint" and not m.italic)))
        assert clashes(titles) == []
        assert outside(drawing) == []


def test_titles_are_whole_on_every_size() -> None:
    for size in (WIDE, NARROW):
        drawn = " ".join(m.text for m in radar(RadarRun("r", synthetic.report().axes), size).marks if isinstance(m, Label))
        for title in TITLES:
            assert title in drawn, (title, size)


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=15))
def test_every_score_has_its_marker_and_no_gap_has_one(scores: list[float | None]) -> None:
    scores = scores[: len(TITLES)]
    tips = [m.tip for m in radar(run(scores)).marks if isinstance(m, Dot) and m.tip]
    assert len(tips) == sum(score is not None for score in scores)


def test_a_score_of_zero_is_on_its_own_axis_and_not_at_the_centre() -> None:
    dots = [m for m in radar(run([0.0] * 13)).marks if isinstance(m, Dot) and m.tip]
    assert len({(round(m.x), round(m.y)) for m in dots}) == 13


def test_a_band_joins_only_neighbours_that_both_have_an_interval() -> None:
    def areas(scores: list[float | None]) -> int:
        bands = [m for m in radar(run(scores)).marks if isinstance(m, Shape) and m.closed and m.paint.opacity == 0.22]
        return sum(len(band.lines) for band in bands)

    assert areas([0.5] * 13) == 13
    assert areas([0.5, 0.5, None, *[0.5] * 10]) == 11
    assert areas([0.5, None] * 6 + [None]) == 0


def test_runs_laid_over_one_another_are_unfilled_and_differ_in_dash_and_marker() -> None:
    drawing = overlay([run([0.5] * 13, "first"), run([0.7] * 13, "second"), run([0.9] * 13, "third")])
    assert not [m for m in drawing.marks if isinstance(m, Shape) and m.closed and len(m.lines[0]) > 8]
    lines = [m for m in drawing.marks if isinstance(m, Shape) and m.paint.width == 2 and len(m.lines[0]) == 14]
    assert len({m.paint.dash for m in lines}) == len({m.paint.stroke for m in lines}) == 3
    assert {"first", "second", "third"} <= {m.text for m in drawing.marks if isinstance(m, Label)}


def test_axes_name_both_runs_scores_where_they_fit() -> None:
    both = [run([0.5] * 13), run([0.7] * 13)]
    for size, texts in ((WIDE, {"0.50 · 0.70"}), (RadarSize(300, 92, 10.5, 90), set())):
        assert {m.text for m in overlay(both, size).marks if isinstance(m, Label) and "·" in m.text} == texts


def test_an_overlay_greys_what_none_of_its_runs_has() -> None:
    first, second = [0.5] * 13, [0.6] * 13
    labels = [m for m in overlay([run([None, None, *first[2:]]), run([None, *second[1:]])]).marks if isinstance(m, Label)]
    roles = {m.text: m.role for m in labels}
    assert roles[TITLES[0]] == "faint"
    assert roles[TITLES[1]] == "ink"
    assert "– · 0.60" in roles


def test_runs_may_lack_an_axis_that_another_has() -> None:
    short = RadarRun("short", run([0.5] * 13).axes[:5])
    dots = [m for m in overlay([short, run([0.6] * 13)]).marks if not isinstance(m, Label) and m.tip]
    assert sum(", short: " in m.tip for m in dots) == 5
    own = [m for m in dots if m.tip.startswith(f"{TITLES[4]}, ")]
    assert len(own) == 2


def test_a_title_s_box_is_where_it_is_drawn() -> None:
    left, top, right, bottom = corners(Label(10, 20, "abc", size=10, anchor="end"))
    assert (right, left < 10, top < 20 < bottom) == (10, True, True)
    turned = corners(Label(10, 20, "abcdef", size=10, anchor="middle", turned=-90))
    assert turned[3] - turned[1] > turned[2] - turned[0]
