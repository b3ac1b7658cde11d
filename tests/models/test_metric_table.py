"""The table of metrics names what trials record, and every objective."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.config.objective import Metric, ObjectiveConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.metric_table import TRIAL_METRICS, metric_of
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import load_dataset
from sweeps.trial.events import EpochEnded
from sweeps.trial.pack import train_points

SHALLOW = {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}
STACK = {"name": "stacked_denoising", "hidden_sizes": [8], "noise": {"level": 0.2}, "pretraining": {"epochs": 1}}


def recorded(model: dict[str, Any], folder: Path) -> dict[str, list[float]]:
    """The values of each metric that a trial of two epochs records."""
    config = SweepConfig.from_dict(
        {
            "name": "tiny",
            "data": {"name": "digits", "n_train": 200, "n_valid": 50, "n_test": 50},
            "model": model,
            "training": {"epochs": 2},
            "objective": {"metric": "valid/mse"},
        }
    )
    dataset = load_dataset(config)
    values: dict[str, list[float]] = {}

    def report(*reported: Any) -> None:
        for event in reported[-1]:
            if isinstance(event, EpochEnded):
                for name, value in event.metrics.items():
                    values.setdefault(name, []).append(value)

    torch.set_num_threads(1)
    context = TrialContext(config, DataArrays.from_dict(dataset.arrays), dataset.references, SweepFolder(folder))
    train_points({"0000": {}}, context, report)
    return values


def test_trials_record_every_metric_of_the_table_and_no_other(tmp_path: Path) -> None:
    shallow, stack = recorded(SHALLOW, tmp_path / "shallow"), recorded(STACK, tmp_path / "stack")
    assert set(shallow) | set(stack) == set(TRIAL_METRICS)
    everywhere = {name for name, metric in TRIAL_METRICS.items() if not metric.needs}
    assert everywhere <= set(shallow) & set(stack)
    assert {"pretrain/loss", "valid/classification_error"} == set(stack) - set(shallow)
    for name, values in [*shallow.items(), *stack.items()]:
        low, high = {"0 or more": (0.0, None), "0 to 1": (0.0, 1.0), "1 or less": (None, 1.0)}[
            TRIAL_METRICS[name].range
        ]
        assert low is None or min(values) >= low, name
        assert high is None or max(values) <= high, name


def test_objectives_are_those_of_the_table() -> None:
    assert set(get_args(Metric)) == {name for name, metric in TRIAL_METRICS.items() if metric.is_objective}


@pytest.mark.parametrize("name", get_args(Metric))
def test_an_objective_takes_the_direction_of_the_table(name: str) -> None:
    metric = TRIAL_METRICS[name]
    assert ObjectiveConfig.model_validate({"metric": name}).direction == metric.better
    other = "minimize" if metric.better == "maximize" else "maximize"
    reversed_one = {"metric": name, "direction": other}
    if metric.may_be_reversed:
        assert ObjectiveConfig.model_validate(reversed_one).direction == other
    else:
        with pytest.raises(ValueError, match=f"direction must be {metric.better} for {name}"):
            ObjectiveConfig.model_validate(reversed_one)


def test_names_of_best_epochs_and_the_test_split_belong_to_the_same_metric() -> None:
    assert metric_of("best/valid/mse") is metric_of("test/mse") is TRIAL_METRICS["valid/mse"]
    assert metric_of("valid/accuracy") is None
