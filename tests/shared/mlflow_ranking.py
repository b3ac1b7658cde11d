"""MLflow's ranking of the trials of a sweep, compared with that of `sweeps best`."""

import json
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.mlflow.links import SHARED_VIEW_TAG, VIEW_TAG
from sweeps.tracking.results import SweepResult


def check_ranking(uri: str, result: SweepResult) -> None:
    """Check that the runs in the store at `uri`, in whatever way MLflow sorts them, have the ranking of a sweep."""
    ranking = [trial.trial for trial in result.ranking]
    assert _trials(_sorted(uri, result, "tags.`sweeps.rank` ASC", "tags.`sweeps.rank` != ''")) == ranking
    first = result.config.objectives[0]
    order = "ASC" if first.direction == "minimize" else "DESC"
    values = [trial.metrics[first.metric] for trial in result.ranking]
    for name in (f"best/{first.metric}", first.metric):
        runs = _sorted(uri, result, f"metrics.`{name}` {order}", "attributes.status = 'FINISHED'")
        runs = [run for run in runs if name in run.data.metrics]
        assert [run.data.metrics[name] for run in runs] == sorted(values, reverse=order == "DESC")
        assert runs[0].data.tags["sweeps.trial"] == ranking[0] or values.count(values[0]) > 1
    by_trial = {run.data.tags["sweeps.trial"]: run for run in _sorted(uri, result, "attributes.start_time ASC")}
    for rank, trial in enumerate(result.ranking, start=1):
        run = by_trial[trial.trial]
        assert run.info.run_id == trial.run_id
        assert _under(run, "best/") == dict(trial.metrics)
        for objective in result.config.objectives:
            assert run.data.metrics[objective.metric] == trial.metrics[objective.metric]
        tags = {"rank": f"{rank:04d}", "best_epoch": str(trial.epoch), "epochs": str(trial.epochs)}
        tags |= {"stopped_by": str(trial.stopped_by)}
        assert {name: run.data.tags[f"sweeps.{name}"] for name in tags} == tags
    unranked = by_trial.keys() - set(ranking)
    assert not any("sweeps.rank" in by_trial[trial].data.tags or _under(by_trial[trial], "best/") for trial in unranked)
    _check_parent(uri, result)
    _check_view(uri, result)


def _check_view(uri: str, result: SweepResult) -> None:
    """Check that the printed links show the trials in the order of the ranking, ties too."""
    view = result.record.tags.get(VIEW_TAG)
    if view is None:  # a sweep of an earlier version
        return
    experiment = MlflowClient(uri).get_experiment(str(result.record.experiment_id))
    state = json.loads(experiment.tags[SHARED_VIEW_TAG + view])
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`sweeps.rank`", True)


def _check_parent(uri: str, result: SweepResult) -> None:
    client = MlflowClient(uri)
    parent = client.get_run(str(result.record.run_id))
    assert result.best is not None
    assert _under(parent, "best/") == dict(result.best.metrics)
    assert parent.data.tags["sweeps.best_trial"] == result.best.trial
    assert _under(parent, "trials/") == {
        "finished": result.count(PointState.FINISHED),
        "failed": result.count(PointState.FAILED),
        "interrupted": result.count(PointState.KILLED),
        "stopped_early": sum("sweeps.stopped_early" in point.tags for point in result.points),
    }
    first, *_ = result.config.objectives
    for name, objective in [(f"best/{first.metric}", first)] + [
        (f"best_so_far/{objective.metric}", objective) for objective in result.config.objectives
    ]:
        series = client.get_metric_history(parent.info.run_id, name)
        if not series and name != f"best/{first.metric}":  # no trial has ended since the version that records it
            continue
        by_step = sorted((value.step, value.timestamp, value.value) for value in series)
        values = [value for _, _, value in by_step]
        assert values == sorted(values, reverse=objective.direction == "minimize"), "best so far never gets worse"
        assert by_step[-1][0] == result.n_ended
        best = (min if objective.direction == "minimize" else max)(t.metrics[objective.metric] for t in result.ranking)
        assert name.startswith("best/") or values[-1] == best


def _sorted(uri: str, result: SweepResult, order: str, condition: str = "") -> list[Run]:
    """The sweep's child runs in an order."""
    conditions = [f"tags.`sweeps.sweep` = '{result.sweep}'", "tags.`sweeps.trial` != ''", condition]
    filter_string = " and ".join(filter(None, conditions))
    found: Any = MlflowClient(uri).search_runs(
        [str(result.record.experiment_id)], filter_string, max_results=1000, order_by=[order]
    )
    return list(found)


def _trials(runs: list[Run]) -> list[str]:
    return [run.data.tags["sweeps.trial"] for run in runs]


def _under(run: Run, prefix: str) -> dict[str, float]:
    """The metrics of a run below a prefix."""
    metrics = run.data.metrics.items()
    return {name.removeprefix(prefix): value for name, value in metrics if name.startswith(prefix)}
