import pytest

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.dotted_paths import assign, not_a_setting, settings

SHALLOW = {"data": {"name": "digits"}, "model": {"name": "shallow"}}


def test_settings_are_those_of_the_named_kind() -> None:
    paths = list(settings(TrialConfig, SHALLOW))
    assert {"model", "model.noise", "model.noise.level", "model.hidden_size", "training.epochs"} <= set(paths)
    assert "model.code_size" not in paths


def test_settings_are_those_of_all_kinds_if_none_is_named() -> None:
    assert {"model.code_size", "model.hidden_size", "model.pretraining.epochs"} <= set(settings(TrialConfig))


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("model.hiden_size", "Did you mean model.hidden_size?"),
        ("hidden_size", "Did you mean model.hidden_size?"),
        ("modl.noise.level", "Did you mean model.noise.level?"),
        ("model.noise.levle", "Did you mean model.noise.level?"),
        ("model.code_size", "is a setting of deep only, and model.name is shallow"),
        (
            "model.pretraining.epochs",
            "only, and model.name is shallow: remove it, or set model.name to stacked_denoising",
        ),
        ("training.zzzzz", "training has epochs, batch_size"),
        ("zzzzz", "There are data, model, training"),
        ("training.epochs.x", "training.epochs is a value, not a section"),
        ("model.noise.level.0", "model.noise.level"),
    ],
)
def test_a_path_that_is_no_setting_is_reported_with_the_most_similar_setting(path: str, hint: str) -> None:
    assert hint in not_a_setting(path, TrialConfig, SHALLOW)


@pytest.mark.parametrize("stopping", [{}, {"name": "none"}])
def test_a_setting_of_another_kind_than_the_default_names_both(stopping: dict[str, str]) -> None:
    hint = not_a_setting("stopping.grace_epochs", SweepConfig, {"stopping": stopping})
    assert hint.startswith("is a setting of asha only, and stopping.name is none")


def test_a_misspelt_setting_of_another_kind_than_the_default_is_suggested() -> None:
    assert "Did you mean stopping.grace_epochs?" in not_a_setting("stopping.grace_epoch", SweepConfig, {"stopping": {}})


def test_an_objective_is_checked_alone_and_in_a_list() -> None:
    assert "Did you mean objective.metric?" in not_a_setting("objective.metrc", SweepConfig, {})


def test_assign_creates_missing_sections() -> None:
    document: dict[str, object] = {"model": {"name": "deep"}, "budget": None}
    assign(document, "model.noise.level", 0.3)
    assign(document, "budget.trials", 4)
    assert document == {"model": {"name": "deep", "noise": {"level": 0.3}}, "budget": {"trials": 4}}


def test_assign_reaches_into_a_list_by_number() -> None:
    document = {"objective": [{"metric": "valid/mse"}, {"metric": "valid/r2"}]}
    assign(document, "objective.1.metric", "valid/dead_units")
    assert document["objective"][1]["metric"] == "valid/dead_units"
    with pytest.raises(ValueError, match="one of 2 list entries"):
        assign(document, "objective.2.metric", "valid/mse")


def test_assign_rejects_a_path_through_a_value() -> None:
    with pytest.raises(ValueError, match="has no settings below it"):
        assign({"name": "a"}, "name.b", 1)
