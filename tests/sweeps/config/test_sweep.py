import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.config import SweepConfig, TrialConfig, json_schema, load, recipe_names
from sweeps.errors import ConfigError

Issues = Callable[..., list[str]]


def test_a_sweep_file_is_loaded(sweep_file: Path) -> None:
    sweep = load(sweep_file)
    assert (sweep.name, sweep.experiment, sweep.n_trials, sweep.n_epochs) == ("plain", "plain", 4, 20)
    assert [objective.direction for objective in sweep.objectives] == ["minimize"]


def test_a_sweep_without_a_name_has_that_of_its_file(sweep_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "my-sweep.yaml"
    path.write_text(sweep_file.read_text().partition("\n")[2])
    assert load(path).name == "my-sweep"


def test_r2_is_maximized(sweep_file: Path) -> None:
    assert load(sweep_file, ["objective.metric=valid/r2"]).objectives[0].direction == "maximize"


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_is_loaded_and_says_what_it_shows(recipe: str) -> None:
    sweep = load(recipe)
    assert sweep.name == recipe
    assert sweep.description


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_sweep_survives_a_round_trip_through_dict_json_and_yaml(recipe: str, tmp_path: Path) -> None:
    sweep = load(recipe)
    assert SweepConfig.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep
    path = tmp_path / "again.yaml"
    path.write_text(sweep.to_yaml())
    assert load(path) == sweep


def test_overrides_change_settings_and_ranges(sweep_file: Path) -> None:
    sweep = load(
        sweep_file,
        [
            "training.learning_rate=1e-2",
            "search.model.noise.level={uniform: [0, 0.5]}",
            "search.model.hidden_size=null",
        ],
    )
    assert sweep.training.learning_rate == 0.01
    assert list(sweep.search) == ["model.noise.level"]


def test_an_override_keeps_an_equals_sign_in_its_value(sweep_file: Path) -> None:
    assert load(sweep_file, ["description=a=b"]).description == "a=b"


def test_a_point_changes_the_trial_and_nothing_else(sweep_file: Path) -> None:
    sweep = load(sweep_file)
    trial = sweep.trial_at({"model.hidden_size": 9, "model.noise.level": 0.25})
    assert (trial.model.noise.level, trial.to_dict()["model"]["hidden_size"]) == (0.25, 9)
    assert trial.training == sweep.training
    assert TrialConfig.from_dict(trial.to_dict()) == trial


def test_a_point_that_the_model_does_not_accept_is_a_config_error(sweep_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.hidden_size must be above 0, not -1"):
        load(sweep_file).trial_at({"model.hidden_size": -1})


def test_a_point_may_set_a_whole_section(sweep_file: Path) -> None:
    sweep = load(
        sweep_file,
        ["search={model: {choice: [{name: deep, code_size: 2}, {name: stacked_denoising, hidden_sizes: [9, 8, 7]}]}}"],
    )
    assert [trial.model.name for trial in sweep.corner_trials()] == ["deep", "stacked_denoising"]
    assert sweep.n_epochs == 3 * 15 + 20


def test_a_point_may_choose_the_kind_of_model_if_all_kinds_have_the_other_settings(sweep_file: Path) -> None:
    sweep = load(
        sweep_file, ["search={model.name: {choice: [shallow, deep]}, model.noise.level: {uniform: [0.0, 0.5]}}"]
    )
    assert sweep.trial_at({"model.name": "deep", "model.noise.level": 0.5}).model.name == "deep"


def test_a_partial_section_keeps_the_defaults_of_the_rest(sweep_file: Path) -> None:
    sweep = load(sweep_file, ["model={name: stacked_denoising, noise: {kind: gaussian}}", "search={}"])
    assert sweep.model.noise.level == 0.2


def test_a_sweep_without_a_search_space_is_one_trial(sweep_file: Path) -> None:
    assert load(sweep_file, ["search={}"]).n_trials == 1


def test_paths_of_data_are_absolute_for_workers_that_run_elsewhere(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = load(sweep_file, ["data={name: array, path: x.npz}"])
    assert sweep.to_dict()["data"]["path"] == str(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("override", "issue"),
    [
        ("model.hiden_size=3", "model.hiden_size is not a setting. Did you mean model.hidden_size?"),
        ("budgt.trials=3", "budgt is not a setting. Did you mean budget?"),
        ("weight_l1=3", "weight_l1 is not a setting. Did you mean model.weight_l1?"),
        (
            "resources.gpu_per_trial=1",
            "resources.gpu_per_trial is not a setting. Did you mean resources.gpus_per_trial?",
        ),
        ("model.code_size=3", "model.code_size is a setting of deep only, and model.name is shallow"),
        ("training.epochs=many", 'training.epochs must be a whole number, not "many"'),
        ("training.epochs='5'", 'training.epochs must be a whole number, not "5"'),
        ("training.epochs=2.5", "training.epochs must be a whole number, not 2.5"),
        ("training.epochs=true", "training.epochs must be a whole number, not true"),
        ("training.epochs=0", "training.epochs must be above 0, not 0"),
        ("training.epochs=", "training.epochs must be a whole number, not null"),
        ("training=5", "training must be a mapping of settings, not 5"),
        ("training.learning_rate=.inf", "training.learning_rate must be a finite number, not Infinity"),
        ("model.tied_weights=1", "model.tied_weights must be true or false, not 1"),
        ("model.noise.level=loud", 'model.noise.level must be a number or a list, not "loud"'),
        ("model.noise.level=[0.1, x]", 'model.noise.level.1 must be a number, not "x"'),
        ("model.activation=rellu", "Did you mean relu?"),
        ("model.name=shalow", 'not "shalow". Did you mean shallow?'),
        ("model.loss=bce", "model: loss bce needs outputs in [0, 1]: set output_activation to sigmoid, not linear"),
        ("objective.metric=valid/mze", "Did you mean valid/mse?"),
        ("objective.direction=maximize", "objective: direction must be minimize for valid/mse, not maximize"),
        ("objective=[]", "objective must have at least 1 values, not []"),
        ("objective={}", "objective.metric must be given"),
        ("resources.gpus_per_trial=some", "resources.gpus_per_trial must be a number or 'auto', not \"some\""),
        ("resources.gpus_per_trial=1.5", "gpus_per_trial must be at most 1 or a whole number, not 1.5"),
        (
            "stopping.grace_epochs=3",
            "stopping.grace_epochs is a setting of asha only, and stopping.name is none: remove it",
        ),
        ("name=a/b", "name must be up to 64 letters, digits"),
        ("search.model.hidden_size=8", "search.model.hidden_size must be one range such as"),
        ("search.model.hidden_size={int: [9, 3]}", "must go from a lower to a higher finite number, not [9, 3]"),
        ("search.model.noize.level={uniform: [0, 1]}", "Did you mean model.noise.level?"),
        ("search.model.code_size={int: [2, 9]}", "is a setting of deep only, and model.name is shallow"),
        (
            "search.training={int: [2, 9]}",
            "search reaches training = 2 or 9: training must be a mapping of settings, not 2",
        ),
        (
            "search.model.noise.level={uniform: [0, 1.5]}",
            "search reaches model.noise.level = 1.5: model.noise: level of",
        ),
        ("search.model.hidden_size={uniform: [8, 64]}", "model.hidden_size must be a whole number, not 8.0"),
        ("search.model={choice: [{name: deep}]}", "search.model.hidden_size lies within search.model"),
        ("search.data.seed={int: [0, 9]}", "search.data.seed must not be searched"),
        ("search.model.hidden_size={grid: [8, 9]}", "must not be grid for algorithm random"),
        ("algorithm.name=grid", "must be a grid or choice for algorithm grid, not int"),
        ("budget.trials=null", "budget.trials must be given: algorithm random proposes points without end"),
        ("model.hidden_size=5", "has no effect because the sweep searches model.hidden_size"),
        ("budget.trials", "--set budget.trials must be path=value"),
        ("=3", "must be path=value"),
        ("model..x=3", "must be path=value"),
        ("budget.trials=[3", "--set budget.trials=[3 must be plain YAML"),
        ("name.x=3", 'name is the value "plain", and has no settings below it'),
    ],
)
def test_an_issue_is_one_line_that_says_what_must_hold(
    issues: Issues, sweep_file: Path, override: str, issue: str
) -> None:
    (only,) = issues(sweep_file, override)
    assert issue in only


SEARCH_WITHOUT_HIDDEN_SIZE = "search={training.learning_rate: {loguniform: [1e-3, 1e-1]}}"


@pytest.mark.parametrize("removal", [SEARCH_WITHOUT_HIDDEN_SIZE, "search.model.hidden_size=null"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_value_may_be_set_before_or_after_its_range_is_removed(sweep_file: Path, removal: str, order: int) -> None:
    other = "search.training.learning_rate={loguniform: [1e-3, 1e-1]}"
    sweep = load(sweep_file, ["model.hidden_size=128", removal, other][::order])
    assert sweep.model.hidden_size == 128
    assert list(sweep.search) == ["training.learning_rate"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_value_that_another_override_searches_is_refused_in_any_order(
    issues: Issues, sweep_file: Path, order: int
) -> None:
    overrides = ["training.learning_rate=0.1", SEARCH_WITHOUT_HIDDEN_SIZE]
    (only,) = issues(sweep_file, *overrides[::order])
    assert "--set training.learning_rate=0.1: has no effect because the sweep searches training.learning_rate" in only


def test_all_issues_are_reported_at_once(issues: Issues, sweep_file: Path) -> None:
    found = issues(
        sweep_file,
        "model.hiden_size=3",
        "budget.trials=-2",
        "nonsense",
        "search.model.noise.level={uniform: [0.1, 1.5]}",
        "search.model.wieght_l1={uniform: [0, 1]}",
        "stopping.name=asha",
        "stopping.grace_epochs=20",
    )
    for part in ("nonsense", "hiden_size", "budget.trials must", "noise.level = 1.5", "wieght_l1"):
        assert sum(part in issue for issue in found) == 1, part


def test_inconsistencies_are_reported_beside_issues_elsewhere(issues: Issues, sweep_file: Path) -> None:
    found = issues(sweep_file, "resources.retries=-1", "stopping.name=asha", "stopping.grace_epochs=20")
    assert len(found) == 2
    assert any("stopping.grace_epochs must be below" in issue for issue in found)


def test_an_invalid_setting_is_not_reported_again_as_missing(issues: Issues, sweep_file: Path) -> None:
    assert issues(sweep_file, "budget.trials=-3") == ["budget.trials must be above 0, not -3"]
    assert len(issues(sweep_file, "objective.metric=valid/mze")) == 1


slow_machine = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
keys = st.sampled_from(["name", "data", "model", "search", "objective", "budget", "stopping", "training", "level", "x"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
    ["digits", "shallow", "deep", "valid/mse", "grid", "asha", "stacked_denoising"]
)  # fmt: skip
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=4)
)
paths = st.sampled_from(
    ("model", "model.noise", "model.noise.level", "search", "search.model.weight_l1", "objective", "objective.metric")
) | st.sampled_from(
    ("data", "data.name", "training.epochs", "stopping", "algorithm.name", "budget.trials", "resources")
)


def loads_or_says_why(read: Callable[[], object]) -> bool:
    try:
        read()
    except ConfigError as error:
        return bool(error.issues) and all(issue and "\n" not in issue for issue in error.issues)
    return True


@slow_machine
@given(st.dictionaries(keys, values, max_size=6))
def test_any_document_is_a_sweep_or_a_list_of_lines(document: dict[str, object]) -> None:
    assert loads_or_says_why(lambda: SweepConfig.from_dict(document))


@slow_machine
@given(path=paths, value=values)
def test_any_value_of_a_setting_is_accepted_or_reported_in_lines(sweep_file: Path, path: str, value: object) -> None:
    assert loads_or_says_why(lambda: load(sweep_file, [f"{path}={json.dumps(value)}"]))


def test_the_json_schema_names_every_section_and_range() -> None:
    schema = json.dumps(json_schema())
    for name in ("hidden_size", "loguniform", "probe_samples", "reduction_factor", "valid/probe_error"):
        assert name in schema


def test_loading_a_sweep_imports_nothing_heavy() -> None:
    program = (
        "import sys, sweeps.config; sweeps.config.load('quickstart')\n"
        "heavy = {'torch', 'ray', 'mlflow', 'numpy', 'optuna', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize("setting", ["data.n_test", "data.rows.0.0"])
def test_an_issue_of_a_kind_named_like_its_setting_has_the_path_of_the_setting(
    issues: Issues, sweep_file: Path, setting: str
) -> None:
    (issue,) = issues(sweep_file, "data={name: rows, rows: [[1.0]]}", f"{setting}=x")
    assert issue.startswith(f"{setting} must be a ")
