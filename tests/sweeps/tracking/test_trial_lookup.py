"""Finding a trial by its name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.config import SweepConfig
from sweeps.errors import InputError, UnknownSweep, UnknownTrial
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord
from sweeps.tracking.trial_lookup import load_trial

CONFIG = SweepConfig.from_dict(
    {"name": "small", "data": {"name": "digits"}, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}}
)
DEAD = {"name": "dead units", "evidence": {"share": 0.5}, "advice": "Lower training.learning_rate."}
RUN, PARENT = "a" * 32, "b" * 32


@pytest.fixture
def sweep(own_home: Path) -> SweepFolder:
    """A sweep of three trials: the second is best, the third still runs."""
    folder = SweepFolder(own_home / "sweeps" / "small-20260101-000000-abcd")
    record = SweepRecord(folder.id, "small", "small", CONFIG.to_dict(), 1)
    with Journal.create(folder.journal, record) as journal:
        journal.delivery.deliver_to("somewhere")
        for index, error in enumerate([0.5, 0.1, 0.9]):
            point_id = f"{index:04d}"
            journal.start_point(PointRecord(point_id, index, {"training.seed": index}, f"seed={index}", 2))
            journal.record_epoch(point_id, 1, {"valid/mse": error}, 3)
            if index < 2:
                journal.end_point(point_id, PointEnd(PointState.FINISHED, diagnosis=[DEAD] if index else []), 4)
        journal.delivery.set_run_id("0000", RUN)
        journal.delivery.set_run_id(None, PARENT)
    return folder


@pytest.mark.parametrize(
    ("run", "trial", "expected"),
    [
        ("small-20260101-000000-abcd/0000", None, "0000"),
        ("small/0002", None, "0002"),
        ("small/2", None, "0002"),
        ("small", "0", "0000"),
        ("small", 0, "0000"),
        ("small", np.int64(2), "0002"),
        ("small", None, "0001"),
        (RUN, None, "0000"),
        (PARENT, None, "0001"),
        (PARENT, "0002", "0002"),
    ],
)
@pytest.mark.usefixtures("sweep")
def test_a_trial_is_found_by_each_of_its_names(run: str, trial: str | int | None, expected: str) -> None:
    assert load_trial(run, trial).trial == expected


def test_a_trial_has_its_diagnosis_when_it_has_ended(sweep: SweepFolder) -> None:
    assert load_trial(sweep.id, "0001").to_dict() == {
        "sweep": sweep.id,
        "trial": "0001",
        "run_id": None,
        "run_name": "seed=1",
        "point": {"training.seed": 1},
        "state": "FINISHED",
        "reason": None,
        "diagnosis": [DEAD | {"severity": "warning"}],  # stored before findings had a severity
    }
    assert load_trial(sweep.id, "0000").diagnosis == []
    assert load_trial(sweep.id, "0002").diagnosis is None


@pytest.mark.parametrize(
    ("run", "trial", "message"),
    [
        ("small/7", None, "has no trial '7'. It has 0000 to 0002."),
        ("small", "x", "has no trial 'x'"),
        ("small/0001", "0002", "leave out trial 0002"),
        (RUN, "0002", "leave out trial 0002"),
        ("c" * 32, None, "no sweep here has the MLflow run cccc"),
    ],
)
@pytest.mark.usefixtures("sweep")
def test_an_unknown_trial_is_refused_with_the_known_ones(run: str, trial: str | None, message: str) -> None:
    with pytest.raises(UnknownTrial, match=message):
        load_trial(run, trial)


@pytest.mark.parametrize("trial", [True, 1.0, np.arange(2), b"0"])
@pytest.mark.usefixtures("sweep")
def test_what_names_no_trial_is_refused_in_one_line(trial: Any) -> None:
    with pytest.raises(InputError, match="trial must be the id or number of a trial, not"):
        load_trial("small", trial)


@pytest.mark.usefixtures("sweep")
def test_an_unknown_sweep_is_refused_with_the_closest() -> None:
    with pytest.raises(UnknownSweep, match="Did you mean 'small-2026"):
        load_trial("smal-20260101/0000")


def test_a_sweep_without_a_ranked_trial_needs_a_trial(own_home: Path) -> None:
    folder = SweepFolder(own_home / "sweeps" / "small-20260101-000000-abcd")
    Journal.create(folder.journal, SweepRecord(folder.id, "small", "small", CONFIG.to_dict(), 1)).close()
    with pytest.raises(UnknownTrial, match="no trial of small-20260101-000000-abcd is ranked"):
        load_trial("small")
