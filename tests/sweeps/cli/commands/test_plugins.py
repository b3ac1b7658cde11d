"""`sweeps check-plugin`: settings are written as in a sweep file, and refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sweeps.cli.app import app
from sweeps.errors import ConfigError

MODULE = """
import numpy as np
from pydantic import Field
from sweeps.plugins import DataSettings, Samples


class Settings(DataSettings):
    size: int = Field(3, description="Pixels of a side.")


def tiles(settings: Settings) -> Samples:
    return Samples(np.ones((20, settings.size, settings.size)))
"""
DATA, NETWORK = "tiles_of_check_plugin:tiles", "plugin_networks:Conv"


@pytest.fixture(autouse=True)
def _tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiles_of_check_plugin.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


def check(plugin: str, *settings: str) -> Result:
    options = [part for setting in settings for part in ("--set", setting)]
    return CliRunner().invoke(app, ["check-plugin", plugin, *options, "--shape", "4,4", "--json"])


def details(result: Result) -> dict[str, tuple[str, str]]:
    plain: dict[str, Any] = json.loads(result.stdout)
    return {check["name"]: (check["status"], check["detail"]) for check in plain["checks"]}


@pytest.mark.parametrize("setting", ["size=6", "data.size=6"])
def test_setting_of_a_data_set_may_begin_with_its_section(setting: str) -> None:
    result = check(DATA, setting)
    assert result.exit_code == 0, result.output
    assert "of 36 features" in details(result)["it loads"][1]


@pytest.mark.parametrize("setting", ["code_size=5", "model.code_size=5"])
def test_setting_of_a_network_may_begin_with_its_section(setting: str) -> None:
    result = check(NETWORK, setting)
    assert result.exit_code == 0, result.output
    assert details(result)["its output has the right shape"] == ("passed", "a code of 5 units")


def test_value_that_a_data_set_refuses_fails_a_check() -> None:
    result = check(DATA, "n_test=-1")
    assert result.exit_code == 1
    assert details(result)["its settings are valid"][0] == "failed"


@pytest.mark.parametrize(
    ("plugin", "setting", "remedy"),
    [
        (DATA, "name=x", "--set name must be left out: PLUGIN decides it"),
        (NETWORK, "name=x", "--set name must be left out: PLUGIN decides it"),
        (NETWORK, "model.shape=[2, 8]", "--set shape must be left out: --shape decides it"),
    ],
)
def test_setting_that_is_an_argument_is_refused_in_one_line(plugin: str, setting: str, remedy: str) -> None:
    result = check(plugin, setting)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.issues == (remedy,)
