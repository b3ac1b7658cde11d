"""Plug-in networks in a sweep file: their settings are checked, searched and explained like those of any other."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from sweeps import plugin_import
from sweeps.config import SweepConfig, TrialConfig, json_schema
from sweeps.config.explain import explain
from sweeps.errors import ConfigError
from sweeps.plugin_import import NETWORKS

CONV = "plugin_networks:Conv"


def document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "data": {"name": "digits"},
        "model": {"name": CONV, "channels": 8, "noise": {"level": 0.2}},
        "search": {"model.channels": {"choice": [2, 4]}},
        "objective": {"metric": "valid/mse"},
        "budget": {"trials": 2},
    } | changes


def issues(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        SweepConfig.from_dict(document(**changes))
    return list(refused.value.issues)


def test_sweep_of_a_plugin_network_is_parsed_and_restored() -> None:
    sweep = SweepConfig.from_dict(document())
    trial = sweep.trial_at({"model.channels": 4})
    assert trial.to_dict()["model"]["channels"] == 4
    assert SweepConfig.restore(json.loads(json.dumps(sweep.to_dict()))).trial_at({"model.channels": 4}) == trial
    assert TrialConfig.from_dict(trial.to_dict()) == trial
    assert sweep.to_dict() == document()


def test_network_of_a_restored_sweep_keeps_its_own_settings_in_a_sweep_written_in_python() -> None:
    parsed = SweepConfig.from_dict(document())
    for config in (parsed, SweepConfig.restore(parsed.to_dict())):
        again = SweepConfig(name="again", data=config.data, model=config.model, objective=config.objective)
        assert again.to_dict()["model"] == document()["model"]
        assert again.trial.model == parsed.trial.model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": CONV, "chanels": 8}, "model.chanels is not a setting. Did you mean model.channels?"),
        ({"name": CONV, "channels": 0}, "model.channels must be above 0, not 0"),
        ({"name": CONV, "channels": "8"}, 'model.channels must be a whole number, not "8"'),
        ({"name": CONV, "noise": {"level": [0.1, 0.2]}}, "model: noise.level must be one number"),
        ({"name": CONV, "loss": "bce"}, "model: loss bce needs outputs in [0, 1]"),
        ({"name": "plugin_networks:Cone"}, "model.name: plugin_networks has no Cone: correct the name after the colon"),
        ({"name": "no_such_package:Net"}, "model.name: no_such_package must import, and raised ModuleNotFoundError"),
        ({"name": "plugin_networks:NoModule"}, "model.name: plugin_networks:NoModule must be a class derived from"),
        ({"name": "plugin_networks:OtherSettings"}, "must have Settings derived from sweeps.plugins.NetworkSettings"),
        ({"name": "shalow"}, "model.name must be 'linear', 'shallow', 'deep' or 'stacked_denoising', not"),
    ],
)
def test_issue_of_a_plugin_network_is_one_line_in_terms_of_the_file(model: dict[str, Any], message: str) -> None:
    (issue,) = issues(model=model, search={})
    assert message in issue
    assert "\n" not in issue


def test_settings_that_a_plugin_does_not_have_are_refused() -> None:
    for name in ("tied_weights", "initialization", "activation", "hidden_size"):
        (issue,) = issues(model={"name": CONV, name: 1}, search={})
        assert issue.startswith(f"model.{name} is a setting of ")


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            {"model.channels": {"int": [0, 4]}},
            "search reaches model.channels = 0: model.channels must be above 0, not 0",
        ),
        ({"model.width": {"int": [1, 4]}}, "search.model.width is not a setting"),
        ({"model.chanels": {"int": [1, 4]}}, "search.model.chanels is not a setting. Did you mean model.channels?"),
        (
            {"model.name": {"choice": [CONV, "deep"]}},
            'search reaches model.name = "deep": model.channels is not a setting',
        ),
    ],
)
def test_search_space_is_checked_at_every_corner(search: dict[str, Any], message: str) -> None:
    assert any(message in issue for issue in issues(search=search))


def test_search_may_choose_between_a_plugin_and_a_built_in_network() -> None:
    changes = {"model": {"name": "deep"}, "search": {"model.name": {"choice": [CONV, "deep"]}}}
    trials = SweepConfig.from_dict(document(**changes)).corner_trials()
    assert [trial.model.name for trial in trials] == [CONV, "deep"]


def test_ranking_against_pca_needs_the_size_of_the_code() -> None:
    objective = {"metric": "valid/mse_over_pca"}
    SweepConfig.from_dict(document(objective=objective))
    (issue,) = issues(model={"name": "plugin_networks:Bare"}, search={}, objective=objective)
    assert (
        "needs the size of the code, and plugin_networks:Bare does not say it: give its Settings a code_size" in issue
    )
    (issue,) = issues(model={"name": CONV, "code_size": 64}, search={}, objective=objective)
    assert "needs a code smaller than the 64 inputs" in issue


def test_settings_of_a_plugin_are_explained_for_the_file_that_names_it() -> None:
    (channels,) = explain("model.channels", document()).meanings
    assert (channels.description, channels.type, channels.range, channels.default) == (
        "Channels of the convolution.",
        "whole number",
        "above 0 and at most 64",
        4,
    )
    explanation = explain("model", document())
    assert dict(explanation.kinds) == {CONV: "A convolution and a linear code"}
    assert {"model.channels", "model.code_size", "model.noise"} <= {setting.path for setting in explanation.settings}
    assert "model.tied_weights" not in {setting.path for setting in explanation.settings}
    with pytest.raises(ConfigError, match=r"model.chanels is not a setting. Did you mean model.channels\?"):
        explain("model.chanels", document())
    (name,) = explain("model.name").meanings
    assert name.type.endswith("or the import path or entry point of a plug-in")


def test_schema_for_editors_allows_plugins_and_still_lists_the_families() -> None:
    families, plugin = json_schema()["properties"]["model"]["anyOf"]
    assert len(families["oneOf"]) == 4
    shared, named = plugin["allOf"]
    assert {"noise", "hidden_l1", "name"} <= shared["properties"].keys()
    assert {"tied_weights", "initialization"} & shared["properties"].keys() == set()
    assert named["properties"]["name"]["anyOf"][0] == {"pattern": ":"}


def test_entry_point_names_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("conv-of-a-package", CONV, NETWORKS)
    monkeypatch.setattr(plugin_import, "registered", lambda group: {entry.name: entry} if group == NETWORKS else {})
    sweep = SweepConfig.from_dict(document(model={"name": "conv-of-a-package"}))
    assert sweep.trial_at({"model.channels": 2}).model.model_dump()["channels"] == 2


def test_built_in_sweeps_import_no_torch_and_stored_ones_no_plugin(tmp_path: Path) -> None:
    stored = json.dumps(
        document(model={"name": "of_another_machine:Net", "width": 3}, search={"model.width": {"int": [1, 2]}})
    )
    script = f"""
import json, sys
from sweeps.config import SweepConfig, load
load("quickstart")
sweep = SweepConfig.restore(json.loads({stored!r}))
assert (sweep.n_epochs, sweep.to_dict()["model"]["width"]) == (20, 3)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
