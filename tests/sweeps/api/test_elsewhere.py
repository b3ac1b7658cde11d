"""Sweeps that lie on a cluster or only in MLflow, seen from Python."""

import logging
from typing import Any

import pytest
from job_cluster import Cluster, job_of
from ray.job_submission import JobStatus

import sweeps
from sweeps.errors import ClusterError, InputError, UnknownSweep
from sweeps.tracking.mlflow.run_lookup import TrackedSweep

SWEEP = "digits-20261130-112751-2102"
ADDRESS = "http://head:8265"
LINE = "sweeps: 3 of 8 trials ended, 0 failed\n"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster(log=LINE, jobs=[job_of(SWEEP, status=JobStatus.RUNNING)])
    connect: Any = lambda _address: found
    monkeypatch.setattr("sweeps.cluster.jobs.client.connect", connect)
    return found


@pytest.mark.usefixtures("cluster")
def test_status_asks_the_cluster_of_the_address_or_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweeps.status(SWEEP, address=ADDRESS)
    assert (found.sweep, found.state, found.where, found.has_ended) == (SWEEP, "RUNNING", "cluster", False)
    assert found.message == "3 of 8 trials ended, 0 failed"
    assert repr(found).splitlines() == [f"SweepStatus {SWEEP} RUNNING on the cluster", f"  {found.message}"]
    with pytest.raises(UnknownSweep, match="no sweep 'digits'"):
        sweeps.status("digits")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", ADDRESS)
    assert sweeps.status("digits") == sweeps.status("latest") == found
    assert [(listed.sweep, listed.where) for listed in sweeps.list_sweeps()] == [(SWEEP, "cluster")]


def test_a_submitted_sweep_is_followed_and_stopped_by_what_submit_returned(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = sweeps.submit("quickstart", {"budget.trials": 4}, address=ADDRESS, offline=True)
    assert submitted.job == submitted.sweep == str(submitted)
    assert cluster.given == [[submitted.sweep, "run", "sweep.yaml", "--id", submitted.sweep, "--offline"]]
    assert cluster.metadata["sweeps.trials"] == "4"
    cluster.jobs = [job_of(submitted.sweep, status=JobStatus.RUNNING)]
    assert submitted.status().state == "RUNNING"
    assert submitted.log() == LINE
    with pytest.raises(TimeoutError, match="has not ended within 0 s: RUNNING"):
        submitted.wait(0)
    monkeypatch.setattr(cluster, "list_jobs", lambda: [job_of(submitted.sweep, status=JobStatus.STOPPED)])
    assert submitted.wait().state == "INTERRUPTED"


@pytest.mark.usefixtures("cluster")
def test_submit_logs_which_files_are_not_on_this_machine(caplog: pytest.LogCaptureFixture) -> None:
    data = {"name": "array", "path": "/shared/images.npy"}
    with caplog.at_level(logging.WARNING):
        sweeps.submit(
            {"name": "own", "data": data, "model": {"name": "shallow"}, "objective": {"metric": "valid/mse"}},
            address=ADDRESS,
        )
    assert "/shared/images.npy is not on this machine: the cluster must have it at that path" in caplog.messages


def test_stop_stops_the_job_of_a_sweep_on_a_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([JobStatus.RUNNING, JobStatus.RUNNING, JobStatus.STOPPED])
    monkeypatch.setattr(cluster, "list_jobs", lambda: [job_of(SWEEP, status=next(states))])
    assert sweeps.stop(SWEEP, address=ADDRESS).state == "INTERRUPTED"
    assert cluster.asked == [f"stop {SWEEP}"]


@pytest.mark.parametrize("name", ["best", "diagnose", "evaluate", "resume"])
def test_what_needs_the_folder_of_a_sweep_says_how_to_reach_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", ADDRESS)
    with pytest.raises(UnknownSweep, match=f"set SWEEPS_HOME .* `sweeps {name} {SWEEP} --address {ADDRESS}`"):
        getattr(sweeps, name)(SWEEP)


def test_a_named_cluster_has_its_own_registry_which_is_not_changed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", ADDRESS)
    for change in (sweeps.rollback, sweeps.history):
        with pytest.raises(ClusterError, match=rf"run `sweeps {change.__name__} digits`, or unset it"):
            change("digits")


def test_status_falls_back_on_mlflow_and_the_list_shows_what_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracked = TrackedSweep(SWEEP, "RUNNING", "ada", 1_700_000_000_000, "", {"FINISHED": 2, "RUNNING": 1})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setattr("sweeps.tracking.mlflow.run_lookup.find_tracked", lambda _uri, _sweep: tracked)
    monkeypatch.setattr("sweeps.tracking.mlflow.run_lookup.list_tracked", lambda _uri: [tracked])
    found = sweeps.status(SWEEP)
    assert (found.where, found.n_finished, found.n_failed, found.n_running) == ("mlflow", 2, 0, 1)
    with caplog.at_level(logging.WARNING):
        assert sweeps.list_sweeps() == [found]
    assert "The sweeps of the cluster are missing: the Ray cluster at http://127.0.0.1:9 does not answer" in caplog.text


@pytest.mark.usefixtures("cluster")
def test_the_list_has_each_sweep_once_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = [
        TrackedSweep(name, "RUNNING", "ada", ms, "", {}) for name, ms in (("older", 1), (SWEEP, 2), ("newer", 3))
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setattr("sweeps.tracking.mlflow.run_lookup.list_tracked", lambda _uri: tracked)
    listed = [(found.sweep, found.where) for found in sweeps.list_sweeps(address=ADDRESS)]
    # The cluster does not say when its sweep started.
    assert listed == [("newer", "mlflow"), ("older", "mlflow"), (SWEEP, "cluster")]


def test_wrong_arguments_are_refused_in_one_line() -> None:
    wrong: Any = 3
    for call in (lambda: sweeps.run(wrong), lambda: sweeps.submit(wrong), lambda: sweeps.extend("demo", 0)):
        with pytest.raises(InputError) as refusal:
            call()
        assert len(refusal.value.issues) == 1


@pytest.mark.parametrize("wrong", [None, 3, 0.5, ["demo"]])
@pytest.mark.parametrize("name", ["status", "best", "diagnose", "evaluate", "resume", "stop"])
def test_what_names_no_sweep_is_refused_in_one_line(name: str, wrong: Any) -> None:
    with pytest.raises(InputError, match="a sweep must be its id or name") as refusal:
        getattr(sweeps, name)(wrong)
    assert len(refusal.value.issues) == 1


def test_load_changes_a_sweep_a_dict_or_a_recipe() -> None:
    config = sweeps.load("quickstart", {"budget.trials": 4})
    for given in (config, config.to_dict()):
        assert sweeps.load(given, ["budget.trials=5"]) == sweeps.load("quickstart", {"budget.trials": 5})
        assert sweeps.load(given) == config
    wrong: Any = 3
    with pytest.raises(InputError, match=r"a sweep must be the name of a recipe, .* not int"):
        sweeps.load(wrong)
