"""The page as a person sees it, in headless Chromium: drawn, quiet, adapting, and closed to the outside."""

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

import synthetic
from efficient360.reports.html import render

pytestmark = pytest.mark.slow
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


@dataclass
class Seen:
    """A page with what the browser complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Opened = Callable[..., Seen]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(synthetic.report(synthetic.HOSTILE_NAME)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Opened]:
    contexts: list[Any] = []

    def load(**settings: Any) -> Seen:
        contexts.append(browser.new_context(**settings))
        seen = Seen(contexts[-1].new_page())
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))

        def dismiss(dialog: Dialog) -> None:
            seen.complaints.append(f"dialog {dialog.message}")
            dialog.dismiss()

        seen.page.on("dialog", dismiss)
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(address)
        seen.page.wait_for_selector("#radar svg.drawing", state="attached")
        return seen

    yield load
    for context in contexts:
        context.close()


def test_it_says_nothing_and_asks_for_nothing(opened: Opened, address: str) -> None:
    seen = opened(viewport={"width": 1280, "height": 900})
    page = seen.page
    assert seen.complaints == []
    assert [r for r in seen.requests if not r.startswith("data:")] == [address]
    assert page.locator("h1").inner_text() == synthetic.HOSTILE_NAME
    assert page.locator("img[src='x']").count() == 0
    assert synthetic.HOSTILE_CLASS in " ".join(page.locator("#performance .lead svg text").all_text_contents())


def test_the_radar_has_its_gaps(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}).page
    labels = page.locator("#radar svg.wide text").all_text_contents()
    gaps = [axis for axis in synthetic.report().axes if axis.score is None]
    assert sum("measured" in label for label in labels) == len(gaps) > 0


@pytest.mark.parametrize("width", [360, 390, 900, 1280])
def test_labels_stay_inside_the_radar(opened: Opened, width: int) -> None:
    outside = """() => { const radar = [...document.querySelectorAll('#radar svg')].find(s => s.getClientRects().length), box = radar.getBoundingClientRect();
        return [...radar.querySelectorAll('text')].map(t => t.getBoundingClientRect())
            .filter(t => t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 || t.bottom > box.bottom + 1).length; }"""
    assert opened(viewport={"width": width, "height": 800}).page.evaluate(outside) == 0


def test_a_link_of_the_contents_leads_to_its_section(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}).page
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Robustness").click()
    expect(page.get_by_role("heading", name="Robustness")).to_be_in_viewport()
    expect(page.get_by_role("navigation", name="Contents")).to_be_in_viewport()


def test_only_what_scrolls_is_a_tab_stop(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_timeout(100)
    wrong = """[...document.querySelectorAll('.scroll')]
        .filter(b => (b.tabIndex === 0 && b.hasAttribute('tabindex')) !== (b.scrollWidth > b.clientWidth || b.scrollHeight > b.clientHeight)).length"""
    assert page.evaluate(wrong) == 0


def test_only_a_table_with_more_rows_than_are_seen_says_so(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    told = """[...document.querySelectorAll('.table .scroll')].map(b => [b.scrollHeight > b.clientHeight, b.nextElementSibling.checkVisibility()])"""
    page.wait_for_timeout(100)
    assert page.evaluate(told) == [[False, False]]
    page.evaluate("document.querySelector('.table .scroll').style.maxHeight = '3rem'; dispatchEvent(new Event('resize'))")
    assert page.evaluate(told) == [[True, True]]


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(opened: Opened, width: int) -> None:
    page = opened(viewport={"width": width, "height": 800}).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.querySelectorAll('svg.drawing')].every(c => c.getBoundingClientRect().right <= innerWidth)")


def test_dark_is_dark_and_follows_the_reader(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}, color_scheme="light").page
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('#radar svg.wide text[fill=\"var(--ink)\"]')).fill]"
    light = page.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    assert light == ["rgb(253, 253, 251)", "rgb(25, 27, 30)"]
    assert page.evaluate(colours) == ["rgb(20, 21, 23)", "rgb(236, 234, 229)"]


def test_it_prints_light_even_from_a_dark_screen(opened: Opened) -> None:
    page = opened(viewport={"width": 1280, "height": 900}, color_scheme="dark").page
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    assert picture.getpixel((1270, 3)) == 255


def test_it_can_be_read_with_the_keyboard_and_without_scripts(browser: Browser, address: str, opened: Opened) -> None:
    page = opened().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the dimensions"
    context = browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(address)
    assert "87.1 – 91.1 %" in bare.locator("#performance").inner_text()
    context.close()
