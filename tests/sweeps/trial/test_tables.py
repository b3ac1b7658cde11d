"""Sweeps on a user's own table, with missing values."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from sweeps.config import SweepConfig
from sweeps.errors import DataError
from sweeps.evaluation import evaluate
from sweeps.tracking.mlflow.run_metadata import dataset_fields
from sweeps.tracking.results import SweepResult
from sweeps.trial.dataset import load_suitable

RNG = np.random.default_rng(0)
N = 240


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file with ten correlated columns from 1e-13 to 3e8, one of text, ids and labels; a tenth is missing."""
    file = tmp_path_factory.mktemp("tables") / "own.csv"
    labels = np.arange(N) % 2
    hidden = RNG.normal(size=(N, 2)) + 3 * labels[:, None]
    values = (hidden @ RNG.normal(size=(2, 10)) + 0.1 * RNG.normal(size=(N, 10))) * np.logspace(-13, 8.5, 10)
    columns = {f"x{k}": pa.array(values[:, k], mask=RNG.random(N) < 0.1) for k in range(10)}
    columns["colour"] = pa.array(np.array(["red", "blue", "green"])[RNG.integers(0, 3, N)], mask=RNG.random(N) < 0.1)
    names = np.array(["healthy", "faulty"])[labels]
    csv.write_csv(pa.table({"id": np.arange(N), **columns, "state": names}), str(file))
    return file


@pytest.fixture
def on_table(small_sweep: Callable[..., SweepConfig], path: Path) -> Callable[[str], SweepConfig]:
    def make(missing: str) -> SweepConfig:
        return small_sweep(
            data={
                "name": "table",
                "path": str(path),
                "label_column": "state",
                "drop_columns": ["id"],
                "missing": missing,
            },
            model={"name": "shallow", "hidden_size": 2, "activation": "linear", "standardize": "feature"}
            | {"output_activation": "linear", "loss": "mse"},
            training={"epochs": 40, "batch_size": 20, "learning_rate": 0.03, "probe_samples": 100},
        )

    return make


def test_missing_values_stop_a_sweep_by_default_and_are_counted(on_table: Callable[[str], SweepConfig]) -> None:
    with pytest.raises(DataError) as error:
        load_suitable(on_table("error"))
    by_column, by_row = error.value.issues[1:3]
    assert by_column.startswith("by column, the most first: ")
    assert by_row.startswith("by row (counted from 1, without the header), the most first: ")


@pytest.mark.parametrize("missing", ["mean", "mask"])
def test_a_sweep_learns_from_a_table_with_missing_values(
    missing: str, on_table: Callable[[str], SweepConfig], run_here: Callable[[SweepConfig], SweepResult]
) -> None:
    result = run_here(on_table(missing))
    metrics, tested = result.ranking[0].metrics, evaluate(result).metrics
    for name in ("mse", "r2", "mse_over_pca"):
        assert np.isfinite([metrics[f"valid/{name}"], tested[f"test/{name}"]]).all()
    assert metrics["valid/r2"] > 0.3
    assert tested["test/probe_error"] < 0.1
    # A linear autoencoder approaches PCA of the same data, which only holds if both leave out the same values.
    assert 0.9 < metrics["valid/mse_over_pca"] < 1.3

    recorded = json.loads(dataset_fields(result.record.dataset or {})["profile"])
    counts = [column["n_missing"] for column in recorded["missing"]["by_column"]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == recorded["missing"]["n_missing"] > 200
    assert recorded["table"]["columns"][-1] == {
        "name": "colour",
        "kind": "categorical",
        "categories": ["blue", "green", "red"],
    }
    assert recorded["table"]["classes"] == ["faulty", "healthy"]
    assert (recorded["table"]["means"] is not None) == (missing == "mean")
