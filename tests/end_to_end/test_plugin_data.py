"""A sweep on a plug-in data set: run, evaluated, judged for promotion, extended with other code, and without it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLUGIN = """
import numpy as np
from pydantic import Field
from sweeps.plugins import DataSettings, Samples


class TilesSettings(DataSettings):
    size: int = Field(8, gt=0, description="Pixels of a side.")


class Tiles:
    Settings = TilesSettings

    def load(self, settings):
        labels = np.arange(300) % 3
        images = np.random.default_rng(0).random((300, settings.size, settings.size)) / 4
        return Samples(images + labels[:, None, None] / 4, labels)
"""


def test_a_sweep_on_a_plugin_data_set(home: Any, sweep_file: Callable[..., str]) -> None:
    module: Path = home.path / "tiles_of_a_user.py"
    module.write_text(PLUGIN)
    data = {"name": "tiles_of_a_user:Tiles", "size": 4, "n_test": 50}
    search = {"model.hidden_size": {"choice": [4, 8]}}
    printed = home.run_json("run", sweep_file(data=data, search=search, budget={"trials": 1}))
    sweep = printed["sweep"]
    assert printed["state"] == "FINISHED"
    recorded = home.run_json("status", sweep)["plugins"]["data"]
    assert recorded["name"] == data["name"]
    assert home.runs("small")["0000"].data.tags["sweeps.plugin.data.sha256"] == recorded["sha256"]
    assert home.run_json("evaluate", f"{sweep}/0")["n_samples"] == 50
    judged = home.run_json("promote", sweep, "--model", "tiles", "--first", "--dry-run", status=1)
    assert {gate["name"]: gate["outcome"] for gate in judged["gates"]}["test metrics"] == "passed"

    module.write_text(f"{PLUGIN}\n# the same samples\n")
    extended = home.sweeps("extend", sweep, "--trials", "1")
    assert extended.returncode == 0, extended.stderr
    assert "The source of the plug-in tiles_of_a_user:Tiles has changed since the sweep last ran" in extended.stderr
    changed = home.run_json("status", sweep)["plugins"]["data"]
    assert changed["changed"] == f"{recorded['sha256'][:12]} -> {changed['sha256'][:12]}"
    assert home.runs("small")["0001"].data.tags["sweeps.plugin.data.sha256"] == changed["sha256"]
    client = MlflowClient(home.uri)
    (parent,) = client.search_runs(
        [client.get_experiment_by_name("small").experiment_id], "tags.`sweeps.role` = 'sweep'"
    )
    assert parent.data.tags["sweeps.plugin.data.changed"] == changed["changed"]

    module.write_text(PLUGIN.replace("/ 4, labels", "/ 5, labels"))
    (other,) = home.run_json("extend", sweep, "--trials", "1", status=2)["errors"]
    assert "must be those it started with, and have changed since" in other
    module.unlink()
    (missing,) = home.run_json("extend", sweep, "--trials", "1", status=2)["errors"]
    assert missing.startswith("data.name: tiles_of_a_user must ")
    assert home.run_json("status", sweep)["state"] == "FINISHED"
