"""The page as text: what stands in it, and that nothing escapes from it."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import synthetic
from efficient360.core.figures import Table
from efficient360.core.findings import Finding
from efficient360.core.measurement import ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.reports import folder, page, sections
from efficient360.reports.html import data, render
from efficient360.reports.report import Report, axes_of
from efficient360.reports.sections import MetricGroup, MetricRow, Section, strip


class Reader(HTMLParser):
    """Every element with its attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.hidden = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = ""

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return render(synthetic.report(synthetic.HOSTILE_NAME))


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_every_dimension_is_named_with_its_question(read: Reader) -> None:
    for dimension in synthetic.dimensions():
        assert dimension.title in read.text
        assert dimension.question in read.text


def test_raw_values_stand_with_unit_interval_and_n(read: Reader) -> None:
    for said in ("89.3 %", "87.1 – 91.1 %", "897", "22.9 MB", "1.26 GMAC", "0.412 nat", "exact", "Russakovsky et al. 2015", "corruption = fog · severity = 3"):
        assert said in read.text


def test_gaps_say_why(read: Reader) -> None:
    for said in (
        "1 of 2 measured",
        "not measured",
        "Another process held the machine.",
        "Suggestion: Lower --batch-size.",
        "explanations was not part of this run",
    ):
        assert said in read.text


def test_an_unscored_dimension_shows_no_number_but_its_reason(html: str) -> None:
    latency = re.search(r'<li class="gap">\s*<a class="name" href="#unmeasured">Latency</a>(.*?)</p>', html, re.S)
    assert latency is not None
    assert "no score" in latency[1]
    assert "Another process held the machine." in latency[1]
    assert "<i " not in latency[1], "there is no bar"


def test_every_bar_says_what_its_ends_mean_in_the_unit_of_the_metric(read: Reader) -> None:
    for said in ("0 at 1.2 GB or more, 1 at 1 MB or less", "0 at 61.6 GMAC or more, 1 at 56 MMAC or less", "0 at 0 %, 1 at 100 %"):
        assert said in read.text


def test_every_number_of_the_overview_links_to_its_place(read: Reader) -> None:
    links = {(attributes.get("href") or "")[1:] for tag, attributes in read.elements if tag == "a"}
    rows = {attributes["id"] for tag, attributes in read.elements if tag == "tr" and attributes.get("id")}
    measured = [f"{a.dimension.name}-{i}" for a in synthetic.report().axes for i, part in enumerate(a.parts, 1) if part.measurement is not None]
    assert set(measured) <= rows & links


def test_what_is_at_once_and_what_is_on_demand(html: str) -> None:
    section = html[html.index('<section class="dimension" id="performance"') :]
    at_once, _, details = section[: section.index("</section>")].partition('<details class="folded more">')
    assert "Top-1 accuracy" in at_once
    assert "Accuracy by class" in at_once, "one figure"
    assert "Top-5 accuracy" in details
    assert "The hardest mistakes" in details
    assert "Top-1 accuracy</span>" not in details.partition("How the score is computed")[0], "a value stands once"


def test_a_void_number_is_no_score_and_leads_no_figure() -> None:
    figure = synthetic.by_class()
    void = Measurement(synthetic.ATTACK, 0.6, 90, void="a blind baseline does as well", extra=(figure,))
    records = [r for r in synthetic.report().records if r.evaluator != "membership"] + [Record("membership", void)]
    html = render(dataclasses.replace(synthetic.report(), records=records, axes=axes_of(synthetic.dimensions(), records)))
    text = Reader(html).text
    assert "Membership inference AUC is void: a blind baseline does as well" in text
    section = html[html.index('<section class="dimension" id="privacy"') :]
    at_once = section[: section.index('<details class="folded more">')]
    assert "<svg" not in at_once
    assert "60.0 %" not in at_once


def test_missing_metrics_are_grouped_by_reason() -> None:
    metrics = [Metric(name, ONE, Better.NEITHER, "") for name in ("alpha", "alpha_within", "alpha_distance")]
    failures = [Record("weights", Failure(Status.UNSUPPORTED, "narrow", "the matrices are narrow", "read the rank", m)) for m in metrics]
    (group,) = sections.missing_groups(failures)
    assert [title.split()[0] for title in group.titles] == ["Power-law", "Matrices", "Power-law"]
    report = synthetic.report()
    records = [*report.records, *failures]
    text = Reader(render(dataclasses.replace(report, records=records, axes=axes_of(synthetic.dimensions(), records)))).text
    assert text.count("Suggestion: read the rank") == 1


def test_what_failed_is_told_before_what_does_not_apply() -> None:
    statuses = [group.failure.status for group in sections.missing_groups(synthetic.report().records)]
    assert statuses == [Status.FAILED, Status.NOT_RUN, Status.UNSUPPORTED]


def test_names_are_text_and_never_elements(read: Reader) -> None:
    assert synthetic.HOSTILE_NAME in read.text
    assert "</script><script>alert(2)</script>" in read.text
    images = [attributes for tag, attributes in read.elements if tag == "img"]
    assert images
    assert all((a["src"] or "").startswith("data:image/png;base64,") for a in images)
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert sum(tag == "script" for tag, _ in read.elements) == 3


def test_data_in_scripts_hold_no_tag(html: str) -> None:
    blocks = re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', html, re.S)
    assert len(blocks) == 1
    for block in blocks:
        assert "<" not in block
        json.loads(block)


def test_a_remote_picture_is_not_drawn(html: str, read: Reader) -> None:
    assert "tracker.png" not in html
    assert "image not shown" in read.text


@pytest.mark.parametrize("uri", ["https://example.org/a.png", "data:text/html,x", "data:image/svg+xml;base64,AA", "javascript:alert(1)", ""])
def test_only_raster_data_is_a_picture(uri: str) -> None:
    assert not page.is_picture(uri)
    assert page.is_picture(synthetic.PIXEL)


def test_nothing_is_loaded_from_elsewhere(read: Reader) -> None:
    links = [value or "" for _, attributes in read.elements for name, value in attributes.items() if name in ("href", "src", "action", "data")]
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)


def test_every_inner_link_has_its_target(read: Reader) -> None:
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "")[1:] for tag, a in read.elements if tag == "a"} <= set(ids)


def test_every_chart_is_drawn_in_the_page(html: str, read: Reader) -> None:
    assert sum(tag == "figure" and "chart" in (attributes.get("class") or "").split() for tag, attributes in read.elements) == 5
    assert sum(tag == "svg" and "drawing" in (attributes.get("class") or "").split() for tag, attributes in read.elements) == 5 + 2, (
        "and the radar, wide and narrow"
    )
    assert "plotly" not in html.lower()


def test_the_policy_names_the_scripts_and_forbids_the_rest(html: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    assert len(scripts) == 2
    assert page.policy(*scripts).replace("'", "&#39;") in html
    assert "default-src 'none'" in page.policy()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the machine was busy", "The machine was busy"),
        ("block_0 is no layer", "block_0 is no layer"),
        ("ε is 0", "ε is 0"),
        ("1 is too few", "1 is too few"),
        ("", ""),
    ],
)
def test_reasons_begin_with_a_capital_unless_they_begin_with_a_name(text: str, sentence: str) -> None:
    assert page.sentence(text) == sentence


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"name": "digits", "split": "test", "examples": 897, "available": 897}, "digits test, 897 examples"),
        ({"name": "digits", "split": "test", "examples": 200, "available": 10000}, "digits test, 200 of 10,000 examples"),
        (
            {"name": "digits", "split": "test", "examples": 537, "available": 537, "unseen": ["3", "8"]},
            "digits test, 537 examples, without 2 classes that the checkpoint does not know (3, 8)",
        ),
        ({"name": "digits"}, "digits"),
    ],
)
def test_a_data_set_says_how_much_of_it_was_taken(dataset: dict[str, Any], said: str) -> None:
    assert data(dataset) == said


def test_only_an_incomplete_run_carries_the_alert() -> None:
    assert "This run is incomplete" in render(synthetic.report(state="incomplete"))
    assert "This run is incomplete" not in render(synthetic.report(state="complete"))


def test_a_report_without_data_or_outcomes_is_drawn() -> None:
    empty = dataclasses.replace(synthetic.report(), dataset=None, records=[], axes=axes_of(synthetic.dimensions(), []), state="complete")
    text = Reader(render(empty)).text
    assert "None: every planned metric has a value." in text
    assert "Data set" not in text


def test_a_record_stands_under_one_dimension_only() -> None:
    report = synthetic.report()
    shown = sections.sections(report)
    rows = sum(len(group.rows) + len(group.folded) for section in shown for group in section.groups)
    assert rows == sum(isinstance(r.outcome, Measurement) for r in report.records)
    homes = {(s.axis.dimension.name if s.axis else None, g.metric.name) for s in shown for g in s.groups}
    assert ("memory", "parameters") in homes, "an unscored metric follows its evaluator"
    assert ("fairness", "worst_group_accuracy") in homes
    assert ("inclusiveness", "tail_accuracy") in homes, "a scored metric stands under its own dimension"
    assert (None, "effective_rank") in homes


def test_many_conditions_are_folded_and_the_scored_value_is_not() -> None:
    group = next(g for s in sections.sections(synthetic.report()) for g in s.groups if g.metric.name == "corruption_accuracy")
    assert (len(group.rows), len(group.folded)) == (1, 20)
    assert group.rows[0].value == "61.0 %"


def brief(*groups: tuple[str, int, bool]) -> Section:
    metric = Metric("m", ONE, Better.HIGHER, "M.")
    row = MetricRow("", "", "1", "", "", "1", None, Measurement(metric, 1.0))
    return Section(None, [MetricGroup("e", title, metric, "", "", [row] * rows, [], scored) for title, rows, scored in groups], [], [])


def test_a_long_section_shows_first_what_is_scored_and_then_what_fits() -> None:
    section = brief(("scored", 1, True), ("three", 3, False), ("six", 6, False), ("one", 1, False))
    shown, rest = section.briefly(6)
    assert [g.title for g in shown] == ["scored", "three"], "a heading and three rows are four lines"
    assert [g.title for g in rest] == ["six", "one"]
    assert section.briefly(100) == (list(section.groups), [])
    assert [g.title for g in section.briefly(1)[0]] == ["scored"]


def test_a_rest_of_one_is_shown() -> None:
    assert brief(("a", 1, False), ("b", 5, False)).briefly(2)[1] == []


def test_what_is_folded_is_still_on_the_page() -> None:
    report = synthetic.report()
    text = Reader(render(report)).text
    for section in sections.sections(report):
        for group in (*section.briefly(1)[0], *section.briefly(1)[1]):
            assert group.title in text


def test_a_metric_all_folded_says_what_it_means_inside_its_fold() -> None:
    metric = Metric("m", ONE, Better.HIGHER, "What M means.")
    records = [Record("e", Measurement(metric, i / 10, conditions={"i": i})) for i in range(8)]
    html = render(dataclasses.replace(synthetic.report(), records=records, axes=axes_of(synthetic.dimensions(), records)))
    fold = html[html.index("under 8 conditions</summary>") :]
    assert "What M means." in fold[: fold.index("</details>")]
    assert html.count("What M means.") == 1


@pytest.mark.parametrize(("figures", "folded"), [(9, 0), (10, 8)])
def test_long_tables_are_folded_where_there_are_many_figures(figures: int, folded: int) -> None:
    long = tuple(Table(f"Table {i}", ("a",), tuple((j,) for j in range(6))) for i in range(figures - 1))
    short = Table("Short", ("a",), ((1,),))
    record = Record("e", Measurement(Metric("m", ONE, Better.HIGHER, "M."), 0.5, extra=(*long, short)))
    report = dataclasses.replace(synthetic.report(), records=[record], axes=axes_of(synthetic.dimensions(), [record]))
    html = render(report)
    assert html.count("(6 rows)</summary>") == folded
    assert "(1 rows)" not in html
    assert "Short" in html


def test_columns_of_numbers_stand_flush_right() -> None:
    table = Table("T", ("name", "below", "share", "missing"), (("a", "−5.6 %", "98 %", "–"), ("b", "−5.4 %", "–", "–")))
    record = Record("e", Measurement(Metric("m", ONE, Better.HIGHER, "M."), 0.5, extra=(table,)))
    html = render(dataclasses.replace(synthetic.report(), records=[record], axes=axes_of(synthetic.dimensions(), [record])))
    flush = {name: f'<th scope="col" class="num">{name}</th>' in html for name in table.columns}
    assert flush == {"name": False, "below": True, "share": True, "missing": False}


def test_the_headlines_are_the_first_measure_of_each_dimension() -> None:
    assert [h.title for h in sections.headlines(synthetic.report())][:3] == ["Top-1 accuracy", "Weight size", "MACs"]


def place(value: float, low: float | None, high: float | None, interval: Interval | None, samples: tuple[float, ...] = ()) -> object:
    metric = Metric("m", ONE, Better.HIGHER, "", "", low, high)
    return strip(Measurement(metric, value, 2, interval, samples=samples))


def test_a_strip_places_a_value_between_its_bounds() -> None:
    drawn = place(0.5, 0, 1, Interval(0.25, 0.75, "t"))
    assert dataclasses.astuple(drawn)[:3] == (50, 25, 75)  # type: ignore[call-overload]
    assert place(0.5, 0, 1, None) is None
    assert place(-3, None, None, Interval(-4, -2, "t")) is None
    repeats = place(2.0, 0, None, None, (1.0, 2.0, 4.0))
    assert dataclasses.astuple(repeats)[3] == pytest.approx([100 / 4.2, 200 / 4.2, 400 / 4.2])  # type: ignore[call-overload]


def test_provenance_is_all_there(read: Reader) -> None:
    for said in ("a" * 64, "d" * 64, "2.14.0", "1" * 40, "efficient360 evaluate deit_tiny_digits", "anchors-v1", "Apache-2.0", "Howard et al. 2019, Table 3"):
        assert said in read.text


def with_record(record: Record) -> Report:
    report = synthetic.report()
    records = [*report.records, record]
    return dataclasses.replace(report, records=records, axes=axes_of(synthetic.dimensions(), records))


def test_an_alert_says_its_severity_in_a_word() -> None:
    findings = [Finding("near-chance", f"reason {i}", "do") for i in range(11)]
    html = render(dataclasses.replace(synthetic.report(), findings=findings))
    overview = html[html.index('<section class="alerts" id="alerts"') :].partition("</ol>")[0]
    assert overview.count('<strong class="severity">Critical</strong>: check first') == 11, "no critical alert is folded"


def test_comparisons_beside_the_page_are_linked(tmp_path: Path) -> None:
    (tmp_path / "against-b c.html").touch()
    folder.save(synthetic.report(), tmp_path)
    assert '<a href="against-b%20c.html">Compared with b c</a>' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Compared with" not in render(synthetic.report())


def test_the_figure_is_of_the_grouping_that_the_summary_metric_judges() -> None:
    figures = tuple(dataclasses.replace(synthetic.by_class(), title=f"Accuracy by {name} (proxy)") for name in ("brightness", "contrast"))
    worst = Measurement(synthetic.WORST, 0.6, 90, conditions={"groups": "contrast (proxy)"}, extra=figures)
    records = [r for r in synthetic.report().records if r.evaluator != "groups"] + [Record("groups", worst)]
    html = render(dataclasses.replace(synthetic.report(), records=records, axes=axes_of(synthetic.dimensions(), records)))
    section = html[html.index('<section class="dimension" id="fairness"') :]
    at_once, _, details = section[: section.index("</section>")].partition('<details class="folded more">')
    assert "<figcaption>Accuracy by contrast (proxy)" in at_once
    assert "<figcaption>Accuracy by brightness (proxy)" in details


def test_an_evaluator_of_a_plugin_is_escaped_too() -> None:
    metric = Metric("oddity", ONE, Better.NEITHER, "<b>bold</b>", "<i>source</i>")
    read = Reader(render(with_record(Record("<u>plugin</u>", Measurement(metric, 1.0, conditions={"<s>": "<q>"})))))
    assert "<b>bold</b>" in read.text
    assert not {"u", "q", "s"} & {tag for tag, _ in read.elements}
