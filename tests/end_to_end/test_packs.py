"""The same sweep in packs and one by one: the same points, one run each with all its metrics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow_ranking import check_ranking

from sweeps.cluster.session import connect
from sweeps.config import load
from sweeps.launch import run

pytestmark = pytest.mark.slow

SPACE = {
    "model.hidden_size": {"choice": [8, 16]},
    "model.weight_l1": {"loguniform": [1e-6, 1e-3]},
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "training.learning_rate": {"loguniform": [1e-4, 1e-2]},
}
N_POINTS = 5


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One local Ray for all sweeps of this module, each with workers of its own."""
    with connect(None):
        yield


@pytest.fixture
def swept(sweep_file: Callable[..., str], own_home: Path) -> Callable[..., dict[str, Run]]:
    """Run a small sweep by the execution named, with other sections; give its runs in MLflow by trial."""

    def sweep(execution: str, **sections: Any) -> dict[str, Run]:
        training = {"epochs": 3, "probe_samples": 300}
        given = sections or {"search": SPACE, "budget": {"trials": N_POINTS}}
        path = sweep_file(training=training, execution=execution, experiment=execution, **given)
        result = run(load(path))
        assert result.exit_status == 0
        check_ranking(f"sqlite:///{own_home}/mlflow.db", result)
        client = MlflowClient(f"sqlite:///{own_home}/mlflow.db")
        runs = client.search_runs([client.get_experiment_by_name(execution).experiment_id])
        return {of.data.tags["sweeps.trial"]: of for of in runs if "sweeps.trial" in of.data.tags}

    return sweep


def histories(runs: dict[str, Run], home: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Every value of every metric, by trial."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    return {
        trial: {
            name: [(value.step, value.value) for value in client.get_metric_history(of.info.run_id, name)]
            for name in of.data.metrics
        }
        for trial, of in runs.items()
    }


@pytest.mark.timeout(600)
def test_a_sweep_in_packs_records_what_it_records_one_by_one(
    swept: Callable[[str], dict[str, Run]], own_home: Path
) -> None:
    single, packs = swept("single"), swept("auto")
    assert len(single) == len(packs) == N_POINTS
    assert {trial: of.data.params for trial, of in packs.items()} == {t: of.data.params for t, of in single.items()}
    one_by_one, together = histories(single, own_home), histories(packs, own_home)
    assert {"train/loss", "valid/mse", "valid/probe_error", "valid/denoise_mse"} <= set(one_by_one["0000"])
    assert together == one_by_one, "side by side nothing changes, on a CPU to the last bit"
    assert {of.info.status for of in packs.values()} == {"FINISHED"}
    assert all("sweeps.diagnosis" in of.data.tags for of in packs.values())
    assert not list(own_home.glob("sweeps/*/points/*/last.*"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("execution", ["single", "auto"])
def test_layers_that_trials_have_in_common_are_pre_trained_once(
    swept: Callable[..., dict[str, Run]], own_home: Path, execution: str
) -> None:
    pretraining = {"epochs": 4, "batch_size": 64}
    runs = swept(
        execution,
        model={"name": "stacked_denoising", "hidden_sizes": [32, 16], "pretraining": pretraining},
        search={
            "model.hidden_sizes": {"grid": [[32, 16], [32, 8]]},
            "training.learning_rate": {"grid": [1e-4, 1e-3, 1e-2]},
        },
        algorithm={"name": "grid"},
        objective={"metric": "valid/classification_error"},
    )
    reused = sum(int(of.data.tags.get("sweeps.reused_epochs", "0")) for of in runs.values())
    # Of twelve layers of four epochs three are different: one below, and two on top of it.
    assert reused == 9 * 4
    values = histories(runs, own_home)
    assert all([step for step, _ in of["pretrain/loss"]] == list(range(1, 9)) for of in values.values())
    assert len({tuple(of["pretrain/loss"]) for of in values.values()}) == 2
    assert not list(own_home.glob("sweeps/*/layers"))
