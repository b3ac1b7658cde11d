"""From a sweep on real MNIST to a champion that is replaced, defended and taken back, as a person types it."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright
from served_ui import served_ui

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
SECONDS = 90
# One epoch beats PCA with as many components, three beat one, and no luck of a seed matters.
SWEEP = {
    "name": "to-promote",
    "data": {"name": "mnist", "n_train": 10_000},
    "model": {
        "name": "deep",
        "hidden_sizes": [128, 32],
        "code_size": 4,
        "activation": "elu",
        "output_activation": "sigmoid",
    },
    "training": {"batch_size": 32, "learning_rate": 0.002, "probe_samples": 0},
    "search": {"training.epochs": {"grid": [1, 3]}},
    "algorithm": {"name": "grid"},
    "objective": {"metric": "valid/mse"},
}


@dataclass(frozen=True)
class Story:
    """What each command printed, in the order in which they were typed."""

    home: Any
    sweep: str
    first: dict[str, Any]
    better: dict[str, Any]
    worse: dict[str, Any]
    table: str


@pytest.fixture(scope="module")
def story(
    real_mnist: Path, tmp_path_factory: pytest.TempPathFactory, session_home: Callable[[Path], Any], empty_store: Path
) -> Story:
    assert real_mnist.is_dir()  # else all that needs the story is skipped
    folder = tmp_path_factory.mktemp("promotion")
    shutil.copy(empty_store, folder / "mlflow.db")
    home = session_home(folder)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    sweep = home.run_json("run", "sweep.yaml")["sweep"]
    first = home.run_json("promote", sweep, "--trial", "0", "--model", "digits", "--first")
    better = home.run_json("promote", sweep, "--model", "digits")
    worse = home.run_json("promote", sweep, "--trial", "0", "--model", "digits", status=1)
    shown = home.sweeps("promote", sweep, "--trial", "0", "--model", "digits", "--dry-run", COLUMNS="160")
    assert shown.returncode == 1, shown.stderr
    return Story(home, sweep, first, better, worse, shown.stdout)


def gates(printed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {gate["name"]: gate for gate in printed["gates"]}


def test_first_better_and_worse_are_told_apart_by_their_numbers(story: Story) -> None:
    assert (story.first["verdict"], story.first["version"], story.first["replaced"]) == ("promoted", "1", None)
    assert (story.better["verdict"], story.better["version"], story.better["replaced"]) == ("promoted", "2", "1")
    assert (story.worse["verdict"], story.worse["version"], story.worse["replaced"]) == ("refused", None, "2")
    won, lost = gates(story.better)["champion"], gates(story.worse)["champion"]
    assert won["numbers"]["high"] < 0 < lost["numbers"]["low"]
    assert lost["numbers"]["challenger"] == pytest.approx(won["numbers"]["other"], rel=1e-5)
    assert "worse than version 2" in lost["sentence"]
    over_pca = gates(story.better)["test metrics"]["numbers"]["test/mse_over_pca"]
    compared = gates(story.better)["reference"]["numbers"]
    assert over_pca == pytest.approx(compared["challenger"] / compared["other"], rel=1e-4)
    assert over_pca < 1


def test_the_table_of_gates_has_a_line_for_each_and_a_conclusion(story: Story) -> None:
    lines = story.table.splitlines()
    assert lines[0].split() == ["gate", "outcome", "why"]
    for name, gate in gates(story.worse).items():
        (line,) = [line for line in lines if line.startswith(name)]
        assert gate["outcome"] in line
    assert "would not be promoted to digits@champion; failed gates: champion; this was a dry run" in lines[-2]
    assert lines[-1].startswith("next: it is worse than the champion, version 2: ")


def test_the_promoted_model_scores_raw_images(story: Story) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
    np.save(story.home.path / "images.npy", images)
    printed = story.home.run_json("score", "digits@champion", "images.npy", "scores.npz")
    assert (printed["samples"], printed["version"]) == (7, "2")
    scores = np.load(story.home.path / "scores.npz")
    pixels = images.reshape(7, 784) / 255
    error = np.square(scores["reconstruction"] / 255 - pixels).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scores["reconstruction_error"], error, rtol=1e-4)
    assert scores["code"].shape == (7, 4)


@pytest.fixture(scope="module")
def registry_page(story: Story) -> Iterator[str]:
    """The link to the registered model's page in the UI that `sweeps ui` serves."""
    with served_ui(story.home.environment, story.home.path) as ui:
        yield f"{ui.address}/?token={ui.token}#/models/digits"


def test_the_version_shows_in_the_registry_with_its_alias_gates_and_run(registry_page: str) -> None:
    if CHROMIUM is None:
        pytest.skip("needs a browser: install Debian's chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1500, "height": 1300})
        page.set_default_timeout(SECONDS * 1000)
        page.goto(f"{registry_page}?workflowType=machine_learning")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Version 2"))
        expect(row.get_by_role("status", name="champion", exact=True)).to_be_visible(timeout=SECONDS * 1000)
        page.goto(f"{registry_page}/versions/2?workflowType=machine_learning")
        page.get_by_text(re.compile(r"better than version 1: 0\.0")).first.wait_for()
        page.get_by_role("link", name="epochs=3").first.wait_for()  # the run that it came of
        page.get_by_text("sweeps.data.checksum").first.wait_for()
        browser.close()


def test_rollback_goes_back_and_history_tells_it_all(story: Story) -> None:  # last: it moves the alias
    printed = story.home.run_json("rollback", "digits")
    assert (printed["version"], printed["replaced"], printed["kind"]) == ("1", "2", "rollback")
    moves = story.home.run_json("history", "digits")["moves"]
    assert [(move["version"], move["kind"]) for move in moves] == [
        ("1", "rollback"),
        ("2", "promotion"),
        ("1", "promotion"),
    ]
    assert all(move["sweep"] == story.sweep and move["when"] and move["who"] for move in moves)
    shown = story.home.sweeps("history", "digits", COLUMNS="200").stdout
    assert "1 <- champion" in shown
    assert "better than version 1" in shown
    again = story.home.sweeps("rollback", "digits")
    assert again.returncode == 2
    assert "first to hold champion" in again.stderr


def test_the_point_is_trained_again_on_other_seeds_and_their_median_passes(
    home: Any, sweep_file: Callable[..., str]
) -> None:
    # A code that narrows nothing must beat the training mean, which two epochs on digits do.
    model = {"name": "shallow", "hidden_size": 80, "activation": "elu"}
    training = {"epochs": 2, "learning_rate": 0.01, "batch_size": 32, "probe_samples": 0}
    sweep = home.run_json("run", sweep_file(model=model, training=training))["sweep"]
    printed = home.run_json("promote", sweep, "--model", "seeded", "--first", "--seeds", "3")
    gate = gates(printed)["seeds"]
    assert (printed["verdict"], gate["outcome"]) == ("promoted", "passed")
    assert gate["numbers"]["seeds"] == 3
    assert gate["numbers"]["seed"] in (1, 2, 3)
    assert gate["numbers"]["best"] < gate["numbers"]["worst"]
    again = home.run_json("list")["sweeps"][0]
    assert (again["name"], again["trials"], again["undelivered"]) == ("small-seeds", 3, 0)
