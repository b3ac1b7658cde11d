"""What the shell completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.cli import completion
from sweeps.config import recipe_names
from sweeps.storage import layout

OLD, NEW, OTHER = "digits-20260101-000000-aaaa", "digits-20260102-000000-bbbb", "blobs-20260103-000000-cccc"


@pytest.fixture
def made() -> None:
    for sweep_id in (OLD, NEW, OTHER):
        folder = layout.create("any", sweep_id)
        folder.journal.touch()
        for trial in ("0001", "0000"):
            folder.point(trial).path.mkdir(parents=True)


@pytest.mark.usefixtures("made")
def test_sweeps_are_completed_by_latest_name_and_id_newest_first() -> None:
    assert completion.sweeps("") == ["latest", "blobs", "digits", OTHER, NEW, OLD]
    assert completion.sweeps("dig") == ["digits", NEW, OLD]


@pytest.mark.usefixtures("made")
def test_only_ids_are_completed_where_no_name_is_taken() -> None:
    assert completion.sweep_ids("dig") == [NEW, OLD]


def test_without_sweeps_nothing_is_completed() -> None:
    assert completion.sweeps("") == completion.runs("latest/") == []


@pytest.mark.usefixtures("made")
def test_trials_are_completed_after_a_sweep() -> None:
    assert completion.runs("digits/") == ["digits/0000", "digits/0001"]
    assert completion.runs("bl") == ["blobs", OTHER]
    assert completion.runs("d/") == completion.runs("nowhere/") == []


def test_recipes_and_sweep_files_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "other.yml").touch()
    (tmp_path / "notes.txt").touch()
    assert completion.recipes("") == recipe_names()
    assert completion.sweep_files("quick") == ["quickstart"]
    assert completion.sweep_files("mi") == ["mine.yaml"]
    assert completion.sweep_files("deep/") == ["deep/other.yml"]
    assert completion.sweep_files("nowhere/x") == []


def test_settings_are_completed_to_assignments() -> None:
    assert completion.settings("model.noise.") == ["model.noise.kind", "model.noise.level"]
    assert "training.epochs=" in completion.assignments("training.")


@pytest.mark.usefixtures("made")
def test_the_shell_gets_the_completions_of_the_program() -> None:
    words = {"COMP_WORDS": "sweeps diagnose digits/", "COMP_CWORD": "2", "_SWEEPS_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['sweeps']; from sweeps.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | words, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["digits/0000", "digits/0001"]
