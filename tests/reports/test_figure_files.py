"""Figures and the share card as files, read back by the programs that will."""

import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from test_drawings import clashes, outside

import synthetic
from efficient360.core.findings import Finding
from efficient360.errors import SettingsError
from efficient360.reports import figure_files
from efficient360.reports.card import card, save_card
from efficient360.reports.drawing.files import encoded
from efficient360.reports.drawing.marks import Drawing, Label

ONE = [("deit", synthetic.report())]
TWO = [*ONE, ("other", synthetic.report("other", scale=0.9))]


def test_a_radar_is_written_in_the_format_of_its_suffix(tmp_path: Path) -> None:
    svg = figure_files.write(TWO, tmp_path / "new" / "radar.svg")
    assert ElementTree.parse(svg).getroot().get("width") == "560"  # our own writer's
    picture = Image.open(figure_files.write(TWO, tmp_path / "radar.png"))
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255), "no box on a slide"
    assert 'fill="#ffffff"' in svg.read_text(encoding="utf-8")
    assert picture.format == "PNG"
    assert picture.width == 1120
    data = figure_files.write(TWO, tmp_path / "radar.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert b"/FontFile2" in data, "text is text, in TrueType"
    assert data == figure_files.write(TWO, tmp_path / "radar.pdf").read_bytes(), "the same run gives the same file"


def test_any_figure_of_a_run_has_a_name(tmp_path: Path) -> None:
    names = list(figure_files.figures(ONE[0][1]))
    assert names == ["accuracy-by-class", "macs-against-resolution", "reliability", "risk-against-coverage", "accuracy-by-corruption-and-severity"]
    for name in names:
        assert re.search("<(path|rect)", figure_files.write(ONE, tmp_path / f"{name}.svg").read_text())


@pytest.mark.parametrize(
    ("runs", "name", "code", "hint"),
    [
        (ONE, "radar.gif", "unknown-format", ".svg, .pdf, .png"),
        (ONE, "radar", "unknown-format", ".svg, .pdf, .png"),
        (ONE, "reliabilty.svg", "no-such-figure", "did you mean reliability?"),
        (ONE, "zzz.svg", "no-such-figure", "it has radar, accuracy-by-class"),
        (TWO, "reliability.svg", "one-run-at-a-time", "take radar"),
        (TWO, "radr.pdf", "no-such-figure", "did you mean radar?"),
        (TWO, "comparison.pdf", "no-such-figure", "did you mean radar?"),
    ],
)
def test_what_cannot_be_written_says_what_can(tmp_path: Path, runs: list, name: str, code: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        figure_files.write(runs, tmp_path / name)
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_names_of_others_are_no_formulas_and_need_no_font() -> None:
    drawing = Drawing(300, 40, (Label(4, 20, r"$\frac{1}{0}$ % 模型 🦆 \x", size=12),), "hostile")
    assert encoded(drawing, ".pdf").startswith(b"%PDF-")
    assert Image.open(io.BytesIO(encoded(drawing, ".png"))).size == (600, 80)


def test_the_card_has_the_size_that_sites_ask_for(tmp_path: Path) -> None:
    path = save_card(synthetic.report(), tmp_path)
    assert path.name == "card.png"
    assert Image.open(path).size == (1200, 630)
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize(
    "name", ["deit", synthetic.HOSTILE_NAME, "a" * 300, "a very long name of a checkpoint in several words " * 4], ids=["short", "hostile", "one word", "words"]
)
def test_the_card_s_text_keeps_clear_and_inside(name: str) -> None:
    drawing = card(synthetic.report(name))
    assert outside(drawing) == []
    titles = Drawing(drawing.width, drawing.height, tuple(m for m in drawing.marks if not (isinstance(m, Label) and m.role == "faint" and not m.italic)), "")
    assert clashes(titles) == []


def test_the_card_says_that_a_run_is_incomplete_and_has_warnings() -> None:
    told = " ".join(m.text for m in card(synthetic.report(state="incomplete")).marks if isinstance(m, Label))
    assert "incomplete run" in told
    assert re.search(r"\d+ critical alerts? and \d+ warnings? in the report|\d+ (critical alerts?|warnings?) in the report", told)


def test_the_card_counts_critical_alerts_apart() -> None:
    found = (Finding("near-chance", "it is so", "do"), Finding("a-plugin-s", "it is so", "do"))
    base = synthetic.report(state="complete")
    told = [m.text for m in card(dataclasses.replace(base, records=[], axes=[], findings=found)).marks if isinstance(m, Label)]
    assert "1 critical alert and 1 warning in the report" in told


def test_reading_a_report_s_figures_needs_no_matplotlib() -> None:
    code = "import sys, efficient360.reports.figure_files, efficient360.reports.card; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
