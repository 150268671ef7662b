"""The leaderboard in headless Chromium: sorting, filtering, columns, the radar of the chosen, links that remember."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

import synthetic
from efficient360.leaderboard.build import build
from efficient360.reports.report import axes_of

pytestmark = pytest.mark.slow
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("site")
    runs = []
    for name, scale in (("middle", 0.9), ("best", 1.0), ("worst", 0.5), (synthetic.HOSTILE_NAME, 0.7)):
        report = synthetic.report(name, scale=scale)
        if name == "best":
            records = [r for r in report.records if r.evaluator != "macs"]
            report = dataclasses.replace(report, records=records, axes=axes_of(synthetic.dimensions(), records))
        runs.append((Path(name if name.isalpha() else "hostile"), report))
    return build(runs, out).as_uri()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@pytest.fixture
def complaints(page: Page, address: str) -> Iterator[list[str]]:
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".radar .polarsublayer")
    yield found
    assert found == []


def names(page: Page) -> list[str]:
    return [name.splitlines()[0] for name in page.locator(".runs tbody tr:visible th").all_inner_texts()]


def test_it_opens_with_the_best_first_and_draws_the_chosen(page: Page, complaints: list[str]) -> None:
    assert names(page) == ["best", "middle", synthetic.HOSTILE_NAME, "worst"]
    assert page.locator(".radar .legendtext").count() == 3
    assert page.locator("img").count() == 0


def test_a_click_sorts_by_raw_value_and_gaps_stay_last(page: Page, complaints: list[str]) -> None:
    button = page.locator("button[data-sort='accuracy.top1']")
    button.click()
    assert names(page) == ["worst", synthetic.HOSTILE_NAME, "middle", "best"]
    macs = page.locator("button[data-sort='macs.macs']")
    for _ in range(2):
        macs.click()
        assert names(page)[-1] == "best"
    assert page.locator("th[aria-sort]").count() == 1


def test_filter_and_columns(page: Page, complaints: list[str]) -> None:
    page.fill(".filter", "wor deit")
    assert names(page) == ["worst"]
    assert page.locator(".count").inner_text() == "1 of 4 runs"
    page.fill(".filter", "")
    assert not page.locator("th[data-key='accuracy.top5']").is_visible()
    page.locator(".columns summary").click()
    page.locator("[data-column='accuracy.top5']").check()
    assert page.locator("th[data-key='accuracy.top5']").is_visible()


def test_the_link_remembers_the_choice_and_the_order(page: Page, complaints: list[str]) -> None:
    page.locator("tr[data-run^='middle'] .pick input").uncheck()
    page.locator("button[data-sort='name']").click()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(".radar .polarsublayer")
    assert names(page) == [synthetic.HOSTILE_NAME, "best", "middle", "worst"]
    assert not page.locator("tr[data-run^='middle'] .pick input").is_checked()
    assert page.locator("tr[data-run^='best'] .pick input").is_checked()


def test_it_fits_a_phone(page: Page, complaints: list[str]) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    try:
        expect(page.locator(".radar .main-svg").first).to_have_css("width", "358px")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
