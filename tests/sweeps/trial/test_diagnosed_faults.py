"""Each fault is found in a trial that has it and not in a sound one, both trained as in a sweep but without Ray."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.diagnosis.findings import FindingName
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import load_dataset
from sweeps.trial.events import EpochEnded, Event, PointEnded, ReportedFinding, from_plain, to_plain
from sweeps.trial.pack import train_points

pytestmark = pytest.mark.filterwarnings("ignore:(Found|You are using the) `dataloader_iter`")

Settings = Mapping[str, Any]
Train = Callable[[Settings], list[Event]]

# Settings of a trial on 8x8 digits; keys outside `data` and `model` belong to `training`.
GOOD = {"data": {"n_train": 400}, "model": {"activation": "linear"}, "learning_rate": 0.01, "epochs": 150}
GOOD |= {"validate_every": 10}
SHORT = {"model": {"activation": "linear"}, "learning_rate": 0.01, "epochs": 3}
SLOW = {"model": {"activation": "linear"}, "optimizer": "sgd", "learning_rate": 1e-5, "epochs": 3}
CRUSHED = {"model": {"activation": "relu", "hidden_size": 64, "weight_l1": 5.0, "hidden_l1": 5.0}}
CRUSHED |= {"learning_rate": 0.01}
FASTER = {"model": {"activation": "relu", "hidden_size": 64}, "learning_rate": 0.3}
SIGMOID = {"model": {"activation": "sigmoid", "hidden_size": 64}, "epochs": 5}
FLAT = {"model": {"activation": "sigmoid", "hidden_size": 64, "initialization": "unit_interval"}, "epochs": 2}
WIDE = {"model": {"activation": "relu", "hidden_size": 128}, "learning_rate": 5e-3, "epochs": 15}
FEW = {"data": {"n_train": 60}, "model": {"activation": "relu", "hidden_size": 48}, "learning_rate": 0.01}
FEW |= {"epochs": 150, "batch_size": 20, "validate_every": 10}
STACK = {
    "name": "stacked_denoising",
    "hidden_sizes": [32, 16],
    "noise": {"level": 0.4},
    "fine_tuning": "reconstruction",
    "pretraining": {"epochs": 3, "learning_rate": 0.01, "batch_size": 50},
}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train a trial once for all tests of this module; return its reported events."""
    torch.set_num_threads(1)
    trained: dict[str, list[Event]] = {}

    def run(settings: Settings) -> list[Event]:
        name = json.dumps(settings)
        if name not in trained:
            trained[name] = _events_of(settings, SweepFolder(tmp_path_factory.mktemp("sweep")))
        return trained[name]

    return run


def _events_of(settings: Settings, folder: SweepFolder) -> list[Event]:
    training = {"epochs": 10, "batch_size": 64, "learning_rate": 0.003, "probe_samples": 0}
    sections = {
        "name": "faults",
        "data": {"name": "digits", "n_train": 1200, "n_valid": 400, "n_test": 0} | settings.get("data", {}),
        "model": {"name": "shallow"}
        | ({"hidden_size": 16} if "name" not in settings["model"] else {})
        | settings["model"],
        "training": training | {key: value for key, value in settings.items() if key not in ("data", "model")},
        "objective": {"metric": "valid/mse", "at": "last"},
    }
    config = SweepConfig.from_dict(sections)
    dataset = load_dataset(config)
    events: list[Event] = []
    arrays = DataArrays.from_dict(dict(dataset.arrays))
    context = TrialContext(config, arrays, dataset.references, folder, dataset.column_mean)
    train_points({"0000": {}}, context, lambda *reported: events.extend(from_plain(to_plain(reported[-1]))))
    return events


def found(events: list[Event]) -> dict[str, ReportedFinding]:
    (end,) = [event for event in events if isinstance(event, PointEnded)]
    assert end.findings is not None
    return {finding.name: finding for finding in end.findings}


def curve(events: list[Event], metric: str) -> list[float]:
    return [event.metrics[metric] for event in events if isinstance(event, EpochEnded) and metric in event.metrics]


def test_a_good_trial_has_no_findings(train: Train) -> None:
    assert found(train(GOOD)) == {}


FAULTY = [
    (SLOW, FindingName.HARDLY_TRAINED, "Raise training.learning_rate from 1e-05 to 0.001"),
    (CRUSHED, FindingName.COLLAPSED, "Lower model.weight_l1 from 5 to 0.05 and lower model.hidden_l1 from 5 to 0.05"),
    (CRUSHED, FindingName.PENALTY, "Lower model.weight_l1 from 5 to 0.05 and lower model.hidden_l1 from 5 to 0.05"),
    (CRUSHED, FindingName.DEAD, "Lower model.weight_l1 from 5 to 0.5 and lower model.hidden_l1 from 5 to 0.5"),
    (FASTER, FindingName.LEARNING_RATE, "Lower training.learning_rate from 0.3 to 0.03"),
    (FASTER, FindingName.DEAD, "Lower training.learning_rate from 0.3 to 0.03"),
    (FASTER, FindingName.COLUMN_MEAN, "Lower training.learning_rate from 0.3 to 0.03"),
    (FLAT, FindingName.SATURATED, "Set model.initialization to glorot in place of unit_interval"),
    (FLAT, FindingName.HARDLY_TRAINED, "Set model.initialization to glorot in place of unit_interval"),
    (SHORT, FindingName.WORSE_THAN_PCA, "Raise training.epochs"),
    (SHORT, FindingName.STILL_IMPROVING, "Raise training.epochs"),
    (WIDE, FindingName.COPIED, "Lower model.hidden_size from 128 to 32"),
    (FEW, FindingName.OVERFITTING, "data.n_train"),
]


@pytest.mark.parametrize(("settings", "fault", "advice"), FAULTY, ids=lambda value: str(value)[:40])
def test_a_faulty_trial_gets_the_finding_and_its_advice(
    train: Train, settings: Settings, fault: FindingName, advice: str
) -> None:
    finding = found(train(settings))[fault]
    assert advice in finding.advice
    assert finding.evidence


SOUND = [
    (
        CRUSHED | {"model": CRUSHED["model"] | {"weight_l1": 1e-4, "hidden_l1": 1e-4}},
        {FindingName.COLLAPSED, FindingName.PENALTY},
    ),
    (
        SIGMOID,
        {
            FindingName.SATURATED,
            FindingName.DEAD,
            FindingName.LEARNING_RATE,
            FindingName.HARDLY_TRAINED,
            FindingName.COLUMN_MEAN,
        },
    ),
    (FLAT, {FindingName.COLUMN_MEAN, FindingName.COLLAPSED}),  # a constant, but far from the mean
    (SHORT, {FindingName.HARDLY_TRAINED, FindingName.OVERFITTING}),
    (FEW, {FindingName.HARDLY_TRAINED, FindingName.COPIED}),
    (WIDE | {"model": WIDE["model"] | {"noise": {"level": 0.01}}}, {FindingName.COPIED}),
    (WIDE | {"model": WIDE["model"] | {"hidden_l1": 1e-4}}, {FindingName.COPIED}),
    (WIDE | {"model": WIDE["model"] | {"hidden_size": 48}}, {FindingName.COPIED}),
]


@pytest.mark.parametrize(
    ("settings", "absent"), SOUND, ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:40]
)
def test_a_sound_trial_does_not_get_the_finding(train: Train, settings: Settings, absent: set[FindingName]) -> None:
    assert not found(train(settings)).keys() & absent


def test_high_noise_is_named_when_the_error_is_worse_than_pca(train: Train) -> None:
    noisy = {"model": {"activation": "tanh", "noise": {"level": 0.5}}, "epochs": 30, "learning_rate": 0.01}
    assert "Lower model.noise.level from 0.5 to 0.167" in found(train(noisy))[FindingName.WORSE_THAN_PCA].advice


def test_a_stack_fine_tuned_on_clean_samples_is_not_judged_by_noise(train: Train) -> None:
    events = train({"data": {"n_train": 400}, "model": STACK, "epochs": 60, "learning_rate": 0.01, "batch_size": 50})
    noisy = curve(events, "valid/denoise_mse")
    assert noisy[-1] > 1.05 * min(noisy)  # training does not lower it, which is no evidence against the training
    findings = found(events)
    assert FindingName.OVERFITTING not in findings
    assert "model.noise.level" not in findings[FindingName.WORSE_THAN_PCA].advice


def test_advice_for_a_code_that_diverges_in_pretraining_names_its_own_learning_rate(train: Train) -> None:
    pretraining = STACK["pretraining"] | {"optimizer": "sgd", "learning_rate": 0.01, "code_learning_rate": 1e30}
    units = {"activation": "relu", "output_activation": "linear", "loss": "mse"}
    model = STACK | units | {"pretraining": pretraining}
    (finding,) = found(train({"model": model, "epochs": 2})).values()
    assert "Lower model.pretraining.code_learning_rate from 1e+30 to 1e+28" in finding.advice
