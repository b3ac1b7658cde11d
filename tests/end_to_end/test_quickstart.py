"""What the README's first command leaves: a result, and runs in MLflow that agree with the journal."""

import math
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.models.metric_table import SWEEP_METRICS, metric_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(quickstart: Any) -> MlflowClient:
    return MlflowClient(f"sqlite:///{quickstart.home.path}/mlflow.db")


@pytest.fixture(scope="module")
def runs(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name("quickstart")
    return list(client.search_runs([experiment.experiment_id], max_results=100))


@pytest.fixture(scope="module")
def children(runs: list[Run]) -> list[Run]:
    return [run for run in runs if "mlflow.parentRunId" in run.data.tags]


@pytest.fixture(scope="module")
def parent(runs: list[Run]) -> Run:
    (run,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return run


def test_run_prints_the_keys_of_the_contract(quickstart: Any) -> None:
    printed = quickstart.printed
    keys = {"sweep", "state", "trials", "failed", "seconds", "startup_seconds", "tracking_uri", "experiment", "best"}
    assert keys <= set(printed)
    assert {"trial", "run_id", "point", "metrics"} <= set(printed["best"])
    assert (printed["state"], printed["trials"], printed["failed"]) == ("FINISHED", 16, 0)
    assert 0 < printed["startup_seconds"] < printed["seconds"]


def test_best_trial_beats_the_mean_predictor_and_guessing(quickstart: Any) -> None:
    metrics = quickstart.printed["best"]["metrics"]
    assert metrics["valid/r2"] > 0.5
    assert metrics["valid/probe_error"] < 0.15  # guessing among ten digits errs 0.9 of the time


def test_parent_run_has_sixteen_finished_children(parent: Run, children: list[Run]) -> None:
    assert len(children) == 16
    assert {run.info.status for run in children} == {"FINISHED"} == {parent.info.status}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_every_recorded_metric_is_in_the_table(runs: list[Run]) -> None:
    names = {name for run in runs for name in run.data.metrics}
    assert {"best/valid/probe_error", "best_so_far/valid/probe_error", "train/loss", "trials/finished"} <= names
    assert any(name.startswith("importance/") for name in names)
    of_settings = {f"importance/{path}" for run in runs for path in run.data.params}
    assert [n for n in names - of_settings if metric_of(n) is None and n not in SWEEP_METRICS] == []


def test_runs_are_named_by_what_differs(children: list[Run]) -> None:
    for run in children:
        assert run.info.run_name.startswith(f"{run.data.tags['sweeps.trial']} h=")
        assert "noise=" in run.info.run_name


def test_every_metric_of_the_journal_is_in_mlflow_once(quickstart: Any) -> None:
    recorded, stored = quickstart.home.recorded_and_stored(quickstart.id)
    assert stored == recorded
    assert len({trial for trial, *_ in stored}) == 16
    assert stored.total() > 16 * 20


def test_mlflow_ranks_the_trials_as_best_does(quickstart: Any) -> None:
    quickstart.home.check_winner(quickstart.id)


def test_every_trial_is_compared_with_the_best_by_its_validation_samples(quickstart: Any, children: list[Run]) -> None:
    ties = quickstart.printed["ties"]
    assert ties["unknown"] == {}
    assert len(ties["intervals"]) == 15
    marked = {run.data.tags["sweeps.trial"] for run in children if run.data.tags["sweeps.tie"] == "true"}
    assert marked == {ties["leader"], *ties["tied"]}
    assert 0 < len(ties["tied"]) < 15  # codes of 64 units are alike, those of 16 are worse


def test_penalties_and_noise_are_recorded_with_their_reduction(children: list[Run]) -> None:
    for run in children:
        assert float(run.data.params["model.weight_l1"]) > 0
        assert 0 <= float(run.data.params["model.noise.level"]) <= 1
        assert run.data.params["model.penalty_reduction"] == "mean"


def test_tags_tell_sweep_trial_seed_versions_and_host(quickstart: Any, children: list[Run]) -> None:
    for run in children:
        tags = run.data.tags
        assert tags["sweeps.sweep"] == quickstart.id
        assert {"sweeps.trial", "sweeps.seed", "sweeps.host", "sweeps.version.torch"} <= set(tags)
    assert {run.data.tags["sweeps.trial"] for run in children} == {f"{index:04d}" for index in range(16)}


def test_dataset_column_is_filled(children: list[Run], parent: Run) -> None:
    assert {run.inputs.dataset_inputs[0].dataset.name for run in (*children, parent)} == {"digits"}


def test_figures_are_kept_at_the_start_at_powers_of_two_at_the_best_epoch_and_at_the_end(
    quickstart: Any, children: list[Run], client: MlflowClient
) -> None:
    ranking = quickstart.home.run_json("best", quickstart.id, "--top", "16")["ranking"]
    best = {trial["trial"]: trial["epoch"] for trial in ranking}
    n_epochs = int(children[0].data.params["training.epochs"])
    kept = {0, n_epochs, *(2**k for k in range(int(math.log2(n_epochs)) + 1))}
    assert not kept.issuperset(best.values())
    for run in children:
        names = [artifact.path.split("+") for artifact in client.list_artifacts(run.info.run_id, "images")]
        for key in ("images/filters", "images/reconstructions"):
            steps = sorted(int(name[2]) for name in names if name[0] == key and name[-1] != "compressed.webp")
            assert set(steps) - kept <= set(range(n_epochs)), "the best epoch so far at each kept one"
            assert len(steps) == len(set(steps))
            assert set(steps) >= kept | {best[run.data.tags["sweeps.trial"]]}


def test_best_trial_alone_has_detailed_figures(quickstart: Any, children: list[Run], client: MlflowClient) -> None:
    best = quickstart.printed["best"]["run_id"]
    for run in children:
        files = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert {"loss_curve.png", "detailed"} & files == (
            {"loss_curve.png", "detailed"} if run.info.run_id == best else set()
        )
    paths = {artifact.path for artifact in client.list_artifacts(best, "detailed")}
    assert paths == {"detailed/filters_in_two_scales.png", "detailed/reconstructions_and_pca.png"}


def test_parent_run_has_the_report_of_the_ended_sweep(quickstart: Any, parent: Run, client: MlflowClient) -> None:
    first, *_ = client.list_artifacts(parent.info.run_id)
    assert first.path == "report.html"
    delivered = Path(client.download_artifacts(parent.info.run_id, "report.html")).read_bytes()
    assert len(delivered) < 2e6
    assert b"FINISHED" in delivered
    written = quickstart.home.path / "by-hand.html"
    assert quickstart.home.run_json("report", quickstart.id, "-o", str(written))["bytes"] == len(delivered)
    assert written.read_bytes() == delivered  # the page depends on the sweep alone


def test_parent_description_ranks_the_trials(parent: Run, quickstart: Any) -> None:
    description = parent.data.tags["mlflow.note.content"]
    assert quickstart.printed["best"]["run_name"] in description
    assert "16 finished" in description


def test_best_leads_with_the_lowest_objective(quickstart: Any) -> None:
    ranking = quickstart.home.run_json("best", quickstart.id, "--top", "16")["ranking"]
    errors = [trial["metrics"]["valid/probe_error"] for trial in ranking]
    assert errors == sorted(errors)
    assert len(errors) == 16


def test_list_and_status_show_the_sweep(quickstart: Any) -> None:
    (listed,) = quickstart.home.run_json("list")["sweeps"]
    status = quickstart.home.run_json("status", quickstart.id)
    assert listed == status
    assert (status["state"], status["trials"], status["undelivered"]) == ("FINISHED", 16, 0)


def test_no_checkpoints_are_left_but_the_best_networks(quickstart: Any) -> None:
    points = _journal(quickstart).parent / "points"
    assert len(list(points.glob("*/best.safetensors"))) == 16
    assert list(points.glob("*/last.*")) == []


def _journal(sweep: Any) -> Path:
    return Path(sweep.home.path) / "sweeps" / sweep.id / "journal.db"
