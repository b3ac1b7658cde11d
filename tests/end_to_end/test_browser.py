"""What a person sees of a sweep in the MLflow UI, looked at in a real browser."""

import io
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from polling import wait_until
from served_ui import ServedUi, served_ui

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
SECONDS = 90
N_TRIALS = 16
# Of links, the texts that a box up to a column's width, in or around the link, cuts off.
CUT_OFF = """links => links.filter(link => {
    const boxes = [...link.querySelectorAll("*")];
    for (let box = link; box && box.clientWidth < 500; box = box.parentElement) boxes.push(box);
    return boxes.some(box => getComputedStyle(box).overflowX === "hidden" && box.scrollWidth > box.clientWidth + 1);
}).map(link => link.innerText)"""
# Of a paragraph, the links that the box that hides its lower part shows whole.
SHOWN_IN_FOLD = """paragraph => {
    let box = paragraph.parentElement;
    while (getComputedStyle(box).overflow !== "hidden") box = box.parentElement;
    const bottom = box.getBoundingClientRect().bottom;
    const links = [...paragraph.querySelectorAll("a")];
    return links.filter(link => link.getBoundingClientRect().bottom <= bottom).map(link => link.innerText);
}"""


@pytest.fixture(scope="module")
def ui(quickstart: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedUi]:
    """The UI that `sweeps ui` serves for the sweep."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = {key: value for key, value in quickstart.home.environment.items() if key != "MLFLOW_TRACKING_URI"}
    with served_ui(environment, elsewhere, quickstart.id, n_links=2) as served:
        assert not list(elsewhere.iterdir())  # no empty store here: the sweep's own one is served
        yield served


@pytest.fixture(scope="module")
def links(ui: ServedUi) -> list[str]:
    """The links as printed: the table of the sweep's runs, and their charts."""
    return ui.links


def parent_run(quickstart: Any) -> str:
    """The id of the sweep's own run."""
    with quickstart.home.journal(quickstart.id) as journal:
        return str(journal.sweep().run_id)


def open_page(browser: Browser) -> Page:
    """A page that shares no storage with others: MLflow keeps there which rows are open."""
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    page.set_default_timeout(SECONDS * 1000)
    return page


@pytest.fixture(scope="module")
def page(ui: ServedUi) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("needs a browser: install Debian's chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = open_page(browser)
        page.goto(ui.links[0])  # the pages below have no token in their addresses: they need its cookie
        yield page
        browser.close()


@pytest.fixture(scope="module")
def experiment(quickstart: Any, ui: ServedUi) -> str:
    """The address of the experiment's page."""
    with quickstart.home.journal(quickstart.id) as journal:
        return f"{ui.address}/#/experiments/{journal.sweep().experiment_id}/runs"


def test_the_browser_keeps_the_page_of_the_link_but_not_the_token(page: Page, ui: ServedUi) -> None:
    page.goto("about:blank")
    page.goto(ui.links[0])
    page.wait_for_url(re.compile("#/experiments/"))
    assert page.url.startswith(f"{ui.address}/#/experiments/")
    assert ui.token not in page.url
    assert ui.token not in page.evaluate("document.cookie")


def test_a_browser_without_the_link_sees_one_sentence(page: Page, experiment: str) -> None:
    assert page.context.browser is not None
    stranger = open_page(page.context.browser)
    stranger.goto(experiment)
    expect(stranger.locator("body")).to_have_text(re.compile("requires a token: open the link"))


def test_parent_opens_to_its_sixteen_children(page: Page, experiment: str, quickstart: Any) -> None:
    page.goto(f"{experiment}?workflowType=machine_learning")
    page.get_by_role("link", name=quickstart.id).wait_for()
    page.locator("[role=gridcell] button").first.click()
    children = page.get_by_role("link", name=re.compile(r"^\d{4} h=\d+ l1="))
    expect(children).to_have_count(16, timeout=SECONDS * 1000)
    page.get_by_text(re.compile(r"^digits \(")).first.wait_for()  # the dataset column


def test_printed_links_open_the_trials_best_first_with_the_objective_in_front(
    page: Page, links: list[str], quickstart: Any
) -> None:
    page.goto("about:blank")
    page.goto(links[0])
    page.locator("strong", has_text=re.compile(r"^16$")).wait_for()  # matching runs: the trials, not their parent
    objective = page.locator("[role=gridcell][col-id='metrics.`best/valid/probe_error`']")
    expect(objective.first).to_be_visible(timeout=SECONDS * 1000)
    shown = [float(text) for text in objective.all_inner_texts() if text not in ("", "-")]
    assert shown == sorted(shown)
    assert min(shown) == pytest.approx(quickstart.printed["best"]["metrics"]["valid/probe_error"])
    metrics = page.locator("[role=row] [role=gridcell][col-id^=metrics]").first
    assert metrics.get_attribute("col-id") == "metrics.`best/valid/probe_error`"


def test_printed_link_opens_the_charts_of_the_sweep(page: Page, links: list[str]) -> None:
    page.goto("about:blank")
    page.goto(links[1])
    for title in ("valid/probe_error", "Parallel Coordinates", "valid/mse"):
        page.get_by_text(title).first.wait_for()
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SECONDS * 1000)


def test_names_of_trials_are_shown_in_full_in_the_printed_table(page: Page, links: list[str]) -> None:
    page.goto("about:blank")
    page.goto(links[0])
    names = page.get_by_role("link", name=re.compile(r"^\d{4} h="))
    expect(names).to_have_count(16, timeout=SECONDS * 1000)
    assert all("noise=" in name for name in names.all_inner_texts())
    assert names.evaluate_all(CUT_OFF) == []


def test_description_of_the_parent_shows_five_leaders_without_unfolding(
    page: Page, experiment: str, quickstart: Any
) -> None:
    ranking = quickstart.home.run_json("best", quickstart.id, "--top", "5")["ranking"]
    page.goto(f"{experiment}/{parent_run(quickstart)}?workflowType=machine_learning")
    leaders = page.locator("p", has_text=re.compile(r"5th( \(statistical tie\))?:"))
    leaders.wait_for()
    page.get_by_text("Show more").first.wait_for()  # MLflow folds the description
    shown = leaders.evaluate(SHOWN_IN_FOLD)
    assert shown == [trial["run_name"] for trial in ranking]
    listed = page.get_by_role("link", name=re.compile(r"^\d{4} h="))
    assert listed.count() > len(ranking)  # the list of trials, too
    assert listed.evaluate_all(CUT_OFF) == []


def test_parent_has_the_best_so_far_as_a_curve(page: Page, experiment: str, quickstart: Any) -> None:
    page.goto(f"{experiment}/{parent_run(quickstart)}/model-metrics?workflowType=machine_learning")
    page.get_by_placeholder("Search metric charts").fill("best_so_far")
    curves = page.locator(".js-plotly-plot")
    expect(curves).to_have_count(1, timeout=SECONDS * 1000)
    wait_until(lambda: curves.evaluate("plot => plot.data[0]?.x?.length") == N_TRIALS, seconds=SECONDS)


def test_metric_charts_show(page: Page, experiment: str, quickstart: Any) -> None:
    run_id = quickstart.printed["best"]["run_id"]
    page.goto(f"{experiment}/{run_id}/model-metrics?workflowType=machine_learning")
    page.get_by_text("probe_error", exact=True).first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()


def is_drawn(viewer: Locator) -> bool:
    """Whether an image shows: tiles stretched from black to white, not an empty box."""
    shown = Image.open(io.BytesIO(viewer.screenshot())).convert("L")
    return shown.getextrema() == (0, 255)


def test_figure_shows_in_the_artifact_viewer(page: Page, experiment: str, quickstart: Any) -> None:
    run_id, figure = quickstart.printed["best"]["run_id"], "detailed/filters_in_two_scales.png"
    page.goto(f"{experiment}/{run_id}/artifacts/{figure}?workflowType=machine_learning")
    page.get_by_text(figure).first.wait_for()
    viewer = page.locator("img[src^=blob], img[src^='data:image'], .image-outer-container img").first
    viewer.wait_for()
    wait_until(lambda: is_drawn(viewer), seconds=30)


def test_report_opens_in_the_artifact_viewer(page: Page, experiment: str, quickstart: Any) -> None:
    with quickstart.home.journal(quickstart.id) as journal:
        parent = journal.sweep().run_id
    page.goto("about:blank")  # else MLflow keeps the artifact that it shows of another run
    page.goto(f"{experiment}/{parent}/artifacts/report.html?workflowType=machine_learning")
    report = page.frame_locator("iframe").first
    expect(report.locator("#ranking tbody tr")).to_have_count(16, timeout=SECONDS * 1000)
    expect(report.locator("#chart-parallel svg path").first).to_be_attached()
    report.locator("button.cell").first.click()
    expect(report.locator("tr.chosen")).to_have_count(1)


def test_image_grid_compares_filters_of_trials_at_any_epoch(page: Page, links: list[str]) -> None:
    assert page.context.browser is not None
    page = open_page(page.context.browser)
    page.goto(links[1])
    page.get_by_text("Parallel Coordinates").first.wait_for()
    page.get_by_placeholder("Search metric charts").fill("filters")
    expect(page.get_by_text("Parallel Coordinates")).to_have_count(0, timeout=SECONDS * 1000)
    page.locator("[data-component-id=fullscreen_button_chartcard]").first.click()
    grid = page.get_by_role("dialog").filter(has=page.get_by_role("slider"))
    for epoch in (0, 20):
        grid.get_by_role("spinbutton").fill(str(epoch))
        grid.get_by_role("spinbutton").press("Tab")
        images = grid.locator(f"img[src*='filters%2Bstep%2B{epoch}%2B']")
        expect(images.nth(2)).to_be_attached(timeout=SECONDS * 1000)  # MLflow shows ten runs, the parent among them
        images.first.scroll_into_view_if_needed()
        wait_until(lambda images=images: is_drawn(images.first), seconds=30)  # type: ignore[misc]
