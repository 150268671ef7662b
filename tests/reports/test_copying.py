"""The buttons at tables and figures, in headless Chromium: what is copied is what our own writers write, what is saved opens elsewhere."""

import csv
import dataclasses
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import synthetic
from efficient360.core.figures import Table
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.reports.html import render
from efficient360.reports.report import axes_of
from efficient360.reports.text_tables import TextTable, to_csv, to_latex, to_markdown
from efficient360.reports.theme import LIGHT

pytestmark = pytest.mark.slow
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
TITLE = "Rates & names_of 100 %"
COLUMNS = ("name", "rate")
ROWS = (("=cmd|' /C calc'!A0", "≤ 0.5"), ('a "quoted", b', "−0.25"), (r"50 % & $x_1^2$ {#} ~ \a", "1.5"), ("*bold* [x] <b>", "–"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    report = synthetic.report()
    accuracy = report.records[0].outcome
    assert isinstance(accuracy, Measurement)
    records = [Record("accuracy", dataclasses.replace(accuracy, extra=(Table(TITLE, COLUMNS, ROWS), *accuracy.extra))), *report.records[1:]]
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(dataclasses.replace(report, records=records, axes=axes_of(synthetic.dimensions(), records))), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], color_scheme="dark", accept_downloads=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    yield page
    assert said == []
    context.close()


def chosen(page: Page, title: str, item: str) -> None:
    page.get_by_role("button", name=f"Copy or save: {title}", exact=True).click()
    page.get_by_role("menuitem", name=item).click()
    page.wait_for_selector(".export-menu", state="hidden")


def copied(page: Page, title: str, item: str) -> str:
    chosen(page, title, item)
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_table_is_copied_as_our_own_writers_write_it(page: Page) -> None:
    table = TextTable(COLUMNS, ROWS, TITLE)
    found = copied(page, TITLE, "Copy as CSV")
    assert list(csv.reader(io.StringIO(found))) == list(csv.reader(io.StringIO(to_csv(table))))
    assert found.startswith("name,rate")
    assert copied(page, TITLE, "Copy as LaTeX").split() == to_latex(table).split()
    assert copied(page, TITLE, "Copy as Markdown").split() == to_markdown(dataclasses.replace(table, title="")).split()


def test_a_table_is_saved(page: Page) -> None:
    with page.expect_download() as download:
        chosen(page, TITLE, "Save as CSV")
    assert download.value.suggested_filename == "deit-tiny-digits-rates-names-of-100.csv"
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == len(ROWS) + 1


def test_every_table_of_metrics_is_copied_without_its_explanations(page: Page) -> None:
    buttons = page.locator("main section button.export[aria-label]")
    seen: list[list[str]] = []
    for i in range(buttons.count()):
        buttons.nth(i).click()
        item = page.get_by_role("menuitem", name="Copy as CSV")
        if item.count() == 0:
            page.keyboard.press("Escape")
            continue
        item.click()
        page.wait_for_selector(".export-menu", state="hidden")
        rows = list(csv.reader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
        assert len({len(row) for row in rows}) == 1
        seen += rows
    top = next(row for row in seen if row[0] == "Top-1 accuracy")
    assert "89.3 %" in top
    assert not any("Share of images" in cell for row in seen for cell in row)
    assert any("Accuracy under corruption" in row[0] or row[0].startswith("corruption = fog") for row in seen)


def test_a_figure_is_saved_in_the_light_theme_as_svg_and_png(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        chosen(page, "Accuracy by class", "Save as SVG")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # our own page's
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert LIGHT["accent"] in text
    assert LIGHT["paper"] in text
    assert synthetic.HOSTILE_CLASS in "".join(root.itertext())
    with page.expect_download() as download:
        chosen(page, "radar", "Save as PNG")
    picture = Image.open(download.value.path()).convert("RGB")
    assert picture.size[0] == 3 * 560
    assert picture.getpixel((3, 3)) == tuple(int(LIGHT["paper"][i : i + 2], 16) for i in (1, 3, 5))
    assert len(picture.getcolors(1 << 24)) > 50  # type: ignore[arg-type]


def test_the_menu_is_worked_with_the_keyboard(page: Page) -> None:
    button = page.get_by_role("button", name=f"Copy or save: {TITLE}", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Copy as Markdown"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.textContent") == "Save as CSV"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Copy or save: {TITLE}"
    assert button.get_attribute("aria-expanded") == "false"


def test_every_table_and_figure_has_its_button_and_without_scripts_none(browser: Browser, address: str, page: Page) -> None:
    tables, figures = page.locator("main table:has(thead)").count(), page.locator("main svg.drawing:not(.narrow)").count()
    assert page.locator("button.export").count() == tables + figures > 10
    context = browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(address)
    assert bare.locator("button").count() == 0
    assert bare.locator("svg.drawing path").count() > 10
    context.close()
