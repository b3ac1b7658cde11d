"""What MLflow has of a sweep: its runs, their states, and which epochs' metrics are missing or there twice."""

from collections import Counter, defaultdict
from typing import Any

from by_hand.contestants import N_EPOCHS, N_TRIALS
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID


def tracked(uri: str, experiment: str, metric: str) -> dict[str, Any]:
    """Count child runs, runs left RUNNING, and values of a metric that each of the trials should have once an epoch.

    Runs of one name belong to one trial. Trials that MLflow has no run of miss all their values.
    """
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000) if found else []
    children = [run for run in runs if MLFLOW_PARENT_RUN_ID in run.data.tags]
    steps: dict[str, Counter[int]] = defaultdict(Counter)
    n_cut_short = 0
    for run in children:
        history = client.get_metric_history(run.info.run_id, metric)
        steps[run.info.run_name].update(value.step for value in history)
        n_cut_short += run.info.status == "FINISHED" and len(history) < N_EPOCHS
    with_filters = [run for run in children if _has_image(client, run.info.run_id)]
    return {
        "runs": len(children),
        "nested": len(children) == len(runs) - 1,
        "with_filters": len({run.info.run_name for run in with_filters}),
        "states": dict(Counter(run.info.status for run in runs)),
        "trials_finished": len({run.info.run_name for run in children if run.info.status == "FINISHED"}),
        "finished_but_incomplete": n_cut_short,
        "values_missing": max(N_TRIALS * N_EPOCHS - sum(len(values) for values in steps.values()), 0),
        "values_twice": sum(values.total() - len(values) for values in steps.values()),
    }


def _has_image(client: MlflowClient, run_id: str, path: str | None = None) -> bool:
    entries = client.list_artifacts(run_id, path)
    return any(
        _has_image(client, run_id, entry.path) if entry.is_dir else entry.path.endswith(".png") for entry in entries
    )
