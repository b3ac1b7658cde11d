"""What a person learns of a sweep's failures: by `best`, by `diagnose`, and in MLflow."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, session_home: Callable[[Path], Any], empty_store: Path) -> Any:
    """Trials that learn, that are stopped while they have hardly begun, that diverge; one after the other."""
    home = session_home(tmp_path_factory.mktemp("diagnosis"))
    shutil.copy(empty_store, home.path / "mlflow.db")
    document = """\
name: faults
data: {name: digits}
model: {name: shallow, hidden_size: 16}
training: {epochs: 4, probe_samples: 0, batch_size: 32}
search: {training.learning_rate: {grid: [0.01, 1.0e-7, 1.0e+30]}}
algorithm: {name: grid}
objective: {metric: valid/mse}
stopping: {name: asha, grace_epochs: 1, reduction_factor: 2}
resources: {concurrency: 1}
figures: {detailed: all}
"""
    path = home.path / "faults.yaml"
    path.write_text(document)
    return home, home.run_json("run", str(path), status=3)["sweep"]


@pytest.fixture(scope="module")
def runs(sweep: Any) -> dict[str, Run]:
    home, _ = sweep
    client = MlflowClient(f"sqlite:///{home.path}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("faults").experiment_id])
    return {run.data.tags["sweeps.trial"]: run for run in found if "sweeps.trial" in run.data.tags}


def names(diagnosis: list[dict[str, Any]]) -> list[str]:
    assert all(set(finding) == {"name", "severity", "evidence", "advice", "change"} for finding in diagnosis)
    return [finding["name"] for finding in diagnosis]


def test_best_tells_what_is_wrong_with_each_trial(sweep: Any) -> None:
    home, sweep_id = sweep
    ranking = {trial["trial"]: trial for trial in home.run_json("best", sweep_id)["ranking"]}
    assert "hardly trained: no better than the mean" in names(ranking["0001"]["diagnosis"])
    assert "hardly trained: no better than the mean" not in names(ranking["0000"]["diagnosis"])
    shown = home.sweeps("best", sweep_id).stdout
    assert "hardly trained: no better than the mean: 0001" in shown
    assert f"sweeps diagnose {sweep_id}/TRIAL" in shown


def test_the_change_that_a_finding_advises_can_be_set_as_it_is(sweep: Any) -> None:
    home, sweep_id = sweep
    (failure, *_) = home.run_json("diagnose", f"{sweep_id}/0001")["diagnosis"]
    assert (failure["severity"], failure["change"]) == ("failure", {"training.learning_rate": 1e-6})


def test_a_trial_that_was_stopped_early_is_not_told_to_train_longer(sweep: Any) -> None:
    home, sweep_id = sweep
    with home.journal(sweep_id) as journal:
        stopped = journal.point("0001")
        assert [epoch for epoch, _ in journal.history("0001")] == [1]
    assert stopped.tags["sweeps.stopped_early"] == "asha"
    assert "still improving when it stopped" not in names(stopped.diagnosis)


def test_diagnose_prints_name_evidence_and_advice(sweep: Any) -> None:
    home, sweep_id = sweep
    shown = home.sweeps("diagnose", f"{sweep_id}/0001").stdout
    assert "Hardly trained: no better than the mean (failure)\n  r2: -" in shown
    assert "Advice: Raise training.learning_rate from 1e-07 to 1e-06: " in shown


def test_a_trial_that_diverged_is_diagnosed_too(sweep: Any, runs: dict[str, Run]) -> None:
    home, sweep_id = sweep
    printed = home.run_json("diagnose", runs["0002"].info.run_id)
    assert (printed["sweep"], printed["trial"], printed["state"]) == (sweep_id, "0002", "FAILED")
    assert names(printed["diagnosis"]) == ["learning rate too high"]
    assert "train/loss" in printed["reason"]


def test_mlflow_has_the_names_as_a_tag_and_the_whole_as_a_text(sweep: Any, runs: dict[str, Run]) -> None:
    home, sweep_id = sweep
    assert len(runs) == 3
    for trial, run in runs.items():
        diagnosis = home.run_json("diagnose", f"{sweep_id}/{trial}")["diagnosis"]
        serious = [finding["name"] for finding in diagnosis if finding["severity"] != "note"]
        assert run.data.tags["sweeps.diagnosis"] == (
            ", ".join(serious) or ("only notes" if diagnosis else "no findings")
        )
        text = load_text(f"{run.info.artifact_uri}/diagnosis.txt")
        assert all(finding["advice"] in text for finding in diagnosis)


def test_where_asked_every_trial_has_the_detailed_figures_that_its_arrays_allow(
    sweep: Any, runs: dict[str, Run]
) -> None:
    home, _ = sweep
    client = MlflowClient(f"sqlite:///{home.path}/mlflow.db")
    for run in runs.values():
        assert "loss_curve.png" in [artifact.path for artifact in client.list_artifacts(run.info.run_id)]
    drawn = {trial: client.list_artifacts(run.info.run_id, "detailed") for trial, run in runs.items()}
    names = ["detailed/filters_in_two_scales.png", "detailed/reconstructions_and_pca.png"]
    for trial in ("0000", "0001"):
        assert sorted(artifact.path for artifact in drawn[trial]) == names
    assert drawn["0002"] == []  # it diverged before there was a best epoch


def test_no_trial_of_that_name_is_bad_input(sweep: Any) -> None:
    home, sweep_id = sweep
    done = home.sweeps("diagnose", f"{sweep_id}/0009")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no trial '0009'. It has 0000 to 0002." in done.stderr
