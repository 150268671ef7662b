"""Figures as drawings: labels that keep clear of one another, gaps for what is missing, and nothing outside the picture."""

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360.core.figures import Bars, Curve, Heatmap, Series
from efficient360.reports.drawing import scale, text
from efficient360.reports.drawing.curve import is_square
from efficient360.reports.drawing.figure import Drawn, draw
from efficient360.reports.drawing.marks import Box, Dot, Drawing, Label, Mark, Shape
from efficient360.reports.drawing.scale import logarithmic
from efficient360.reports.drawing.svg import inline, standalone

LONG = "a very long name of a class that nobody would ever print in full on a page, let alone twice"
MANY = Bars("many", "class", "accuracy", tuple(f"class {i}" for i in range(100)), tuple(i / 100 for i in range(100)))
WIDE = Heatmap("wide", "class", "class", tuple(f"{LONG} {i}" for i in range(20)), tuple(f"{LONG} {i}" for i in range(20)), ((0.5,) * 20,) * 20)
FIGURES: list[Drawn] = [synthetic.reliability(), synthetic.growth(), synthetic.risk(), synthetic.by_class(), synthetic.corruptions(), MANY, WIDE]

names = st.text(max_size=60)
numbers = st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, 1e-12])


def series(data: st.DrawFn) -> Series:
    x = data(st.lists(numbers, max_size=40))
    y = tuple(data(numbers) for _ in x)
    low, high = (y, y) if data(st.booleans()) else ((), ())
    return Series(data(names), tuple(x), y, low, high, style=data(st.sampled_from(["line", "points", "reference"])))


@st.composite
def curves(data: st.DrawFn) -> Curve:
    drawn = tuple(series(data) for _ in range(data(st.integers(0, 8))))
    return Curve("c", data(names), data(names), drawn, data(st.booleans()), data(st.booleans()))


@st.composite
def bars(data: st.DrawFn) -> Bars:
    values = tuple(data(st.lists(numbers, max_size=50)))
    low, high = (values, values) if data(st.booleans()) else ((), ())
    return Bars("b", data(names), data(names), tuple(data(names) for _ in values), values, low, high)


@st.composite
def heatmaps(data: st.DrawFn) -> Heatmap:
    rows, columns = data(st.integers(0, 12)), data(st.integers(0, 25))
    cells = tuple(tuple(data(st.none() | numbers) for _ in range(columns)) for _ in range(rows))
    return Heatmap("h", data(names), data(names), tuple(data(names) for _ in range(columns)), tuple(data(names) for _ in range(rows)), cells)


def labels(drawing: Drawing) -> list[Label]:
    return [mark for mark in drawing.marks if isinstance(mark, Label) and mark.text.strip()]


def clashes(drawing: Drawing) -> list[tuple[str, str]]:
    """Pairs of labels whose boxes overlap by more than a hair."""
    boxes = [(label.text, text.corners(label)) for label in labels(drawing)]
    return [
        (a, b)
        for (a, (l1, t1, r1, b1)), (b, (l2, t2, r2, b2)) in itertools.combinations(boxes, 2)
        if min(r1, r2) - max(l1, l2) > 0.5 and min(b1, b2) - max(t1, t2) > 0.5
    ]


def outside(drawing: Drawing) -> list[str]:
    return [label.text for label in labels(drawing) if (c := text.corners(label))[0] < -1 or c[1] < -1 or c[2] > drawing.width + 1 or c[3] > drawing.height + 1]


def places(mark: Mark) -> list[float]:
    """Every coordinate of a mark."""
    if isinstance(mark, Shape):
        return [v for line in mark.lines for point in line for v in point]
    return [mark.x, mark.y, mark.width, mark.height] if isinstance(mark, Box) else [mark.x, mark.y]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.title)
def test_labels_of_real_figures_keep_clear_and_inside(figure: Drawn) -> None:
    drawing = draw(figure)
    assert clashes(drawing) == []
    assert outside(drawing) == []


@given(curves() | bars() | heatmaps())
def test_labels_of_any_figure_keep_clear_and_inside_and_every_drawing_is_xml(figure: Drawn) -> None:
    drawing = draw(figure)
    assert clashes(drawing) == []
    assert outside(drawing) == []
    ElementTree.fromstring(standalone(drawing))  # our own writer's
    assert all(math.isfinite(v) for mark in drawing.marks for v in places(mark))


def test_a_missing_value_is_a_gap_in_the_line_and_has_no_marker() -> None:
    drawing = draw(Curve("c", "x", "y", (Series("s", (1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.2, math.nan, 0.3, 0.4)),)))
    (line,) = [m for m in drawing.marks if isinstance(m, Shape) and m.paint.stroke == "accent" and not m.closed]
    assert [len(part) for part in line.lines] == [2, 2]
    assert [m.tip for m in drawing.marks if isinstance(m, Dot)] == ["s, 1: 0.1", "s, 2: 0.2", "s, 4: 0.3", "s, 5: 0.4"]


def test_what_is_not_positive_has_no_place_on_a_logarithmic_axis() -> None:
    axis = scale.logarithmic([0.0, -1.0, 0.001, 1.0])
    assert axis.share(0.0) is axis.share(-1.0) is axis.share(math.nan) is None
    assert axis.ticks == pytest.approx((0.001, 0.01, 0.1, 1))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.001, 1.0], ("0.001", "0.01", "0.1", "1")),
        ([1e6, 1e9], ("1M", "10M", "100M", "1G")),
        ([1e-8, 1e-5], ("10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵")),
        ([300.0, 900.0], ("500",)),
    ],
)
def test_a_logarithmic_axis_says_rates_plainly_and_large_numbers_with_prefixes(values: list[float], ticks: tuple[str, ...]) -> None:
    labelled = scale.logarithmic(values).labels
    assert set(ticks) <= set(labelled)
    assert len(labelled) <= 7


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_a_linear_axis_holds_its_values_and_names_round_ticks(values: list[float]) -> None:
    axis = scale.linear(values)
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 1 <= len(axis.ticks) <= 8
    assert len(set(axis.labels)) == len(axis.labels)


def test_whole_numbers_have_whole_ticks() -> None:
    assert scale.linear([1.0, 2.0, 3.0, 4.0]).labels == ("1", "2", "3", "4")
    assert scale.linear([0.0, 100.0]).labels == ("0", "20", "40", "60", "80", "100")


def test_a_reliability_diagram_is_square_and_others_are_not() -> None:
    assert is_square(synthetic.reliability())
    assert not is_square(synthetic.risk())


def test_intervals_are_bands_of_lines_and_bars_of_points() -> None:
    risk = draw(synthetic.risk())
    (band,) = [m for m in risk.marks if isinstance(m, Shape) and m.closed and m.paint.fill == "accent" and m.paint.opacity < 1]
    assert [len(part) for part in band.lines] == [2 * 60]
    points = draw(synthetic.reliability())
    spans = [m for m in points.marks if isinstance(m, Shape) and m.paint.stroke == "accent" and not m.closed]
    assert sum(len(m.lines) for m in spans) == 10


def test_bars_begin_at_zero_and_tell_value_and_interval() -> None:
    drawing = draw(Bars("b", "class", "accuracy", ("a", "b"), (0.5, 1.0), (0.4, 0.9), (0.6, 1.0)))
    first, second = [m for m in drawing.marks if isinstance(m, Box)]
    assert second.width == pytest.approx(2 * first.width)
    assert first.tip == "a: 0.5 (0.4 – 0.6)"
    assert {"0.500", "1.00"} <= {label.text for label in labels(drawing)}


def test_more_bars_than_lines_fit_are_columns_that_a_pointer_names() -> None:
    tips = [m.tip for m in draw(MANY).marks if isinstance(m, Box)]
    assert tips[99] == "class 99: 0.99"
    assert not any(label.text.startswith("class 9") for label in labels(draw(MANY)))


def test_a_missing_cell_is_blank_and_a_number_below_zero_has_a_minus() -> None:
    drawing = draw(Heatmap("h", "", "", ("a", "b"), ("c",), ((-0.25, None),)))
    assert len([m for m in drawing.marks if isinstance(m, Box) and m.tip]) == 1
    assert "−0.25" in {label.text for label in labels(drawing)}


def test_a_long_name_is_shortened_and_told_in_full() -> None:
    drawing = draw(Bars("b", "class", "accuracy", (LONG,), (0.5,)))
    (name,) = [label for label in labels(drawing) if label.tip]
    assert name.text.endswith("…")
    assert name.tip == LONG


def test_text_of_others_stays_text() -> None:
    hostile = "</svg><script>alert(1)</script>\x00\u202e"
    drawing = draw(Bars(hostile, hostile, hostile, (hostile,), (0.5,)))
    for written in (inline(drawing, '"><script>'), standalone(drawing)):
        assert "<script" not in written
        tree = ElementTree.fromstring(written)
        assert {element.tag.rpartition("}")[2] for element in tree.iter()} <= {"svg", "rect", "path", "text", "title", "circle"}


def test_a_page_s_drawing_takes_the_page_s_colours_and_a_file_its_own() -> None:
    drawing = draw(synthetic.by_class())
    assert "var(--accent)" in inline(drawing)
    assert not re.search("#[0-9a-f]{6}", inline(drawing))
    assert "var(" not in standalone(drawing)


@given(st.text(max_size=80), st.floats(5, 300))
def test_shortened_text_fits(line: str, room: float) -> None:
    short = text.shortened(line, room, 11)
    assert text.width(short, 11) <= room
    assert short == line.replace("\n", " ") or short == "" or short.endswith("…")


def test_a_logarithmic_axis_has_no_place_for_numbers_next_to_nothing() -> None:
    axis = logarithmic([2.2e-313, 0.1, 10.0, 1e300])
    assert axis.share(2.2e-313) is None
    assert 0 < axis.share(0.1) < axis.share(10.0) < 1
    assert axis.share(1e300) > 1
