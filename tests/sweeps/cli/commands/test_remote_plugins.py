"""Commands about a submitted sweep send the code of its plug-ins, and no other module that its job names."""

import sys
from importlib import invalidate_caches
from pathlib import Path
from typing import Any, cast

import pytest

from sweeps.cli.commands.remote import _plugins_here
from sweeps.cluster.jobs import submissions
from sweeps.cluster.jobs.submitted_sweep import JobState, SubmittedSweep
from sweeps.config.plugin_source import find_source, plugin_named

PLUGIN = plugin_named("data", "sent_again:tiles")
CLIENT = cast("Any", None)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    path = tmp_path / "sent_again.py"
    path.write_text("tiles = None\n")
    invalidate_caches()
    plugins = {"data": {"name": PLUGIN.name, "sha256": find_source(PLUGIN).sha256()}}
    submitted = SubmittedSweep("s", "s", 1, JobState.FINISHED, "me", 1, None, plugins=plugins)
    monkeypatch.setattr(submissions, "find_submitted", lambda _client, _sweep: submitted)
    return path


@pytest.mark.usefixtures("module")
def test_code_is_sent_as_it_was_submitted() -> None:
    assert _plugins_here(CLIENT, "s") == [PLUGIN]


def test_other_code_is_sent_only_if_that_is_wanted(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module.write_text("tiles = 1\n")
    assert _plugins_here(CLIENT, "s") == []
    assert "data plug-in sent_again:tiles is not sent" in capsys.readouterr().err
    monkeypatch.setenv("SWEEPS_SEND_CHANGED_PLUGINS", "1")
    assert _plugins_here(CLIENT, "s") == [PLUGIN]


def test_a_plugin_that_is_not_here_is_named(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module.unlink()
    invalidate_caches()
    assert _plugins_here(CLIENT, "s") == []
    assert "so the cluster must have it installed: sent_again must be found" in capsys.readouterr().err
