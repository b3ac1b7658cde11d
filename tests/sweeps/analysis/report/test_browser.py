"""The report as a browser shows it from disk: every chart drawn, nothing requested, nothing injected."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted_sweep import plant, planted_config
from playwright.sync_api import Browser, Page, sync_playwright

from sweeps.analysis.report.write import write_report

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
HOSTILE = "</script><img src=x onerror=\"document.title='injected'\">"
CHARTS = ("curves", "slices", "parallel", "pareto")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPS_HOME", str(tmp_path_factory.mktemp("planted")))
        folder = plant(planted_config(24, two_objectives=True, description=HOSTILE))
        return Path(str(write_report(folder)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs a browser: install Debian's chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


def open_report(browser: Browser, report: Path, **context: Any) -> tuple[Page, list[str]]:
    """Return the page of the report, and what it has requested or logged apart from itself."""
    page = browser.new_context(**context).new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.goto(report.as_uri())
    page.locator("#chart-parallel svg").wait_for()
    return page, [entry for entry in seen if entry != report.as_uri()]


@pytest.mark.parametrize("width", [390, 1200])
def test_all_charts_are_drawn_without_a_request(browser: Browser, report: Path, width: int) -> None:
    page, seen = open_report(browser, report, viewport={"width": width, "height": 900})
    assert seen == []
    for name in CHARTS:
        assert page.locator(f"#chart-{name} svg path").count() > 5, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() != "injected"
    assert page.locator("img[src=x]").count() == 0


def test_a_cell_of_the_contact_sheet_opens_its_trial(browser: Browser, report: Path) -> None:
    page, _ = open_report(browser, report)
    cell = page.locator("button.cell").last
    trial = cell.get_attribute("data-trial")
    cell.click()
    assert page.locator("tr.chosen").get_attribute("id") == f"trial-{trial}"


def test_colours_follow_the_system_until_a_person_chooses(browser: Browser, report: Path) -> None:
    page, _ = open_report(browser, report, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)" != dark


def test_without_script_the_texts_and_tables_show(browser: Browser, report: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri())
    assert page.locator("#ranking tbody tr").count() == 24
    assert page.locator("text=loss is NaN in epoch 1").first.is_visible()
    assert page.locator("noscript").first.is_visible()
