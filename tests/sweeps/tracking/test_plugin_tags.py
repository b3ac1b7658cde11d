"""The plug-ins of a sweep are tags of its runs, and a change of their source is recorded."""

import logging
import os
import subprocess
from importlib import invalidate_caches
from pathlib import Path

import pytest

from sweeps.config import SweepConfig
from sweeps.errors import ConfigError
from sweeps.tracking.plugin_tags import changed_plugin_tags, plugin_lines, plugin_tags, recorded_plugins
from sweeps.tracking.submission import SUBMISSION_VARIABLE, Submission, current_submission, trial_tags

NAME = "tagged_tiles:Tiles"


def sweep_of(name: str) -> SweepConfig:
    return SweepConfig.restore(
        {"name": "s", "data": {"name": name}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}
    )


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *__import__("sys").path])
    path = tmp_path / "tagged_tiles.py"
    path.write_text("Tiles = None\n")
    invalidate_caches()
    return path


def git(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@b"}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_tags_name_the_plugin_its_source_and_its_commit(module: Path) -> None:
    tags = plugin_tags(sweep_of(NAME))
    assert set(tags) == {"sweeps.plugin.data", "sweeps.plugin.data.sha256"}
    git(module.parent, "init", "-q")
    git(module.parent, "add", module.name)
    git(module.parent, "commit", "-qm", "tiles")
    module.write_text("Tiles = 1\n")
    changed = plugin_tags(sweep_of(NAME))
    assert changed["sweeps.plugin.data.sha256"] != tags["sweeps.plugin.data.sha256"]
    assert changed["sweeps.plugin.data.commit"] == git(module.parent, "rev-parse", "HEAD")
    assert changed["sweeps.plugin.data.dirty"] == "true"
    (line,) = plugin_lines(changed)
    assert line.startswith(f"data plug-in {NAME}, commit ")
    assert line.endswith("with changes that are not committed")
    assert plugin_tags(sweep_of("digits")) == {}


def test_a_change_of_the_source_is_a_warning_and_a_tag(module: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = sweep_of(NAME)
    first = plugin_tags(config)
    with caplog.at_level(logging.WARNING):
        assert changed_plugin_tags(first, config) == first
    assert not caplog.records
    module.write_text("Tiles = 1\n")
    second = changed_plugin_tags(first | {"sweeps.plugin.data.commit": "a" * 40}, config)
    (warning,) = caplog.messages
    assert warning.startswith(f"The source of the plug-in {NAME} has changed since the sweep last ran")
    old, new = first["sweeps.plugin.data.sha256"], plugin_tags(config)["sweeps.plugin.data.sha256"]
    assert second["sweeps.plugin.data.changed"] == f"{old[:12]} -> {new[:12]}"
    assert second["sweeps.plugin.data.commit"] == "", "the commit was that of the source before"
    module.write_text("Tiles = 2\n")
    third = changed_plugin_tags(first | second, config)
    assert third["sweeps.plugin.data.changed"].startswith(f"{old[:12]} -> {new[:12]} -> ")
    assert recorded_plugins(first | third)["data"].keys() == {"name", "sha256", "changed"}


def test_a_missing_plugin_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^data\.name: gone_since must be found, and is not: install its package"):
        changed_plugin_tags({}, sweep_of("gone_since:Tiles"))


@pytest.mark.usefixtures("module")
def test_what_only_the_submitter_knows_comes_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    known = plugin_tags(sweep_of(NAME)) | {"sweeps.plugin.data.commit": "a" * 40, "sweeps.plugin.data.version": "1.2"}
    sent = current_submission(None, known).to_json()
    monkeypatch.setenv(SUBMISSION_VARIABLE, sent)
    there = current_submission(None).to_tags()
    assert {name: there[name] for name in known} == known
    of_trial = trial_tags(plugin_tags(sweep_of(NAME)) | there)
    assert {name: of_trial[name] for name in known} == known
    hostile = Submission.from_json('{"by": "a", "code": {"sweeps.plugin.data": "x\\ny", "sweeps.owner": "z", "k": 3}}')
    assert hostile is not None
    assert hostile.code is not None
    assert set(hostile.code) == {"sweeps.plugin.data"}
    assert "\n" not in hostile.code["sweeps.plugin.data"]
