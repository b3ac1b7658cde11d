"""Best checkpoints evaluated on the test split."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import Split
from sweeps.errors import ClusterError, DataError, InputError
from sweeps.evaluation import data_of, evaluate, load_best_network, measure
from sweeps.models.build import load_network
from sweeps.storage.layout import find
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointState
from sweeps.tracking.results import SweepResult, load_result
from sweeps.trial.dataset import load_splits

MakeSweep = Callable[..., SweepConfig]
Run = Callable[[SweepConfig], SweepResult]
NOISY = {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.2}}
GRID = {"search": {"training.seed": {"grid": [0, 1]}}, "algorithm": {"name": "grid"}}


def scaled(split: Split, scale: float) -> Any:
    return split.inputs.astype(np.float64) * scale


def write_rows(path: Path, seed: int) -> str:
    np.save(path, np.random.default_rng(seed).uniform(0, 1, (60, 9)).astype(np.float32))
    return str(path)


def test_metrics_compare_the_test_split_with_references_fitted_on_train(small_sweep: MakeSweep, run_here: Run) -> None:
    config = small_sweep()
    result = run_here(config)
    evaluation = evaluate(result)

    arrays = load_splits(config)
    train, test = scaled(arrays.train, arrays.scale), scaled(arrays.test, arrays.scale)
    network = load_network(find(result.sweep).point("0000").best_network)
    with torch.no_grad():
        reconstruction = network(torch.from_numpy(test).float()).reconstruction.double().numpy()
    mse = ((reconstruction - test) ** 2).mean()
    pca = PCA(8).fit(train)
    pca_mse = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    mean_mse = ((test - train.mean(axis=0)) ** 2).mean()

    assert evaluation.n_samples == len(test)
    assert evaluation.metrics["test/mse"] == pytest.approx(mse, rel=1e-5)
    assert evaluation.metrics["test/r2"] == pytest.approx(1 - mse / mean_mse, rel=1e-5)
    assert evaluation.metrics["test/mse_over_pca"] == pytest.approx(mse / pca_mse, rel=1e-5)


def test_metrics_of_a_model_that_standardises_features_compare_with_pca_of_the_correlation_matrix(
    small_sweep: MakeSweep, run_here: Run
) -> None:
    config = small_sweep(model={"name": "shallow", "hidden_size": 8, "standardize": "feature"})
    result = run_here(config)
    metrics = evaluate(result).metrics

    arrays = load_splits(config)
    raw, raw_test = scaled(arrays.train, arrays.scale), scaled(arrays.test, arrays.scale)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    unit = np.where(deviation > 0, deviation, np.inf)  # the corners of the digits are constant
    train, test = (raw - mean) / unit, (raw_test - mean) / unit
    network = load_network(find(result.sweep).point("0000").best_network)
    with torch.no_grad():
        output = network(torch.from_numpy(raw_test).float()).reconstruction.double().numpy()
    mse = np.square((output - raw_test) / unit).mean()
    pca = PCA(8).fit(train)

    assert metrics["test/mse"] == pytest.approx(mse, rel=1e-4)
    assert metrics["test/r2"] == pytest.approx(1 - mse / np.square(test).mean(), rel=1e-4)
    pca_mse = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
    assert metrics["test/mse_over_pca"] == pytest.approx(mse / pca_mse, rel=1e-4)


@pytest.mark.parametrize("standardize", ["none", "feature"])
def test_evaluating_the_validation_split_reproduces_the_trials_metrics(
    small_sweep: MakeSweep, run_here: Run, standardize: str
) -> None:
    model = NOISY | {"standardize": standardize}
    result = run_here(small_sweep(model=model, training={"epochs": 4, "probe_samples": 500}))
    assert result.best is not None
    arrays = data_of(result)
    network = load_best_network(result, result.best.trial)
    again = measure(network, result.config.trial, arrays, arrays.valid)

    recorded = {name.removeprefix("valid/"): value for name, value in result.best.metrics.items() if "valid" in name}
    assert set(recorded) == {"mse", "r2", "mse_over_pca", "denoise_mse", "probe_error", "code_sparsity", "dead_units"}
    assert again == pytest.approx(recorded, rel=1e-6)


def test_a_classifier_is_evaluated_by_its_error(small_sweep: MakeSweep, run_here: Run) -> None:
    model = {"name": "stacked_denoising", "hidden_sizes": [16], "pretraining": {"epochs": 1, "batch_size": 32}}
    training = {"epochs": 8, "batch_size": 32, "learning_rate": 0.01, "probe_samples": 0}
    objective = {"metric": "valid/classification_error"}
    metrics = evaluate(run_here(small_sweep(model=model, training=training, objective=objective))).metrics
    assert metrics["test/classification_error"] < 0.3  # chance is 0.9
    assert "test/probe_error" not in metrics


def test_the_best_trial_is_evaluated_by_default(small_sweep: MakeSweep, run_here: Run) -> None:
    result = run_here(small_sweep(**GRID))
    assert result.best is not None
    (other,) = {"0000", "0001"} - {result.best.trial}
    best, named = evaluate(result), evaluate(result, other)
    assert (best.trial, best.epoch) == (result.best.trial, result.best.epoch)
    assert named.trial == other
    assert named.metrics["test/mse"] != best.metrics["test/mse"]


def test_without_test_samples_the_error_names_the_setting(small_sweep: MakeSweep, run_here: Run) -> None:
    result = run_here(small_sweep(data={"name": "digits", "n_test": 0}))
    with pytest.raises(DataError, match=r"data\.n_test is 0"):
        evaluate(result)


def test_without_a_test_split_the_error_suggests_a_size(small_sweep: MakeSweep, run_here: Run) -> None:
    blobs = {"name": "blobs", "subset": "stripe"}
    with pytest.raises(DataError, match=r"29 samples .* --set data\.n_test=2$"):
        evaluate(run_here(small_sweep(data=blobs)))
    assert evaluate(run_here(small_sweep(data=blobs | {"n_test": 2}))).n_samples == 2


def test_changed_data_are_refused(small_sweep: MakeSweep, run_here: Run, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mine.npy", seed=0)
    result = run_here(small_sweep(data={"name": "array", "path": path}))
    assert evaluate(result).n_samples == 12
    write_rows(tmp_path / "mine.npy", seed=1)
    with pytest.raises(DataError, match=r"must be the one that small-.* was run on"):
        evaluate(result)
    Path(path).unlink()
    with pytest.raises(DataError, match=r"mine\.npy"):
        evaluate(result)


def test_a_missing_or_damaged_checkpoint_is_refused(small_sweep: MakeSweep, run_here: Run) -> None:
    result = run_here(small_sweep())
    network = find(result.sweep).point("0000").best_network
    network.write_bytes(b"nothing")
    with pytest.raises(InputError, match="must be a network saved by this package"):
        evaluate(result)
    network.unlink()
    with pytest.raises(InputError, match=r"must be at .*best\.safetensors, but it is missing"):
        evaluate(result)


def test_a_failed_trial_is_not_evaluated(small_sweep: MakeSweep, run_here: Run) -> None:
    result = run_here(small_sweep(**GRID))
    with Journal.open(find(result.sweep).journal) as journal:
        journal.retry_point("0001", "lost", 2)
        journal.end_point("0001", PointEnd(PointState.FAILED, "train/loss is nan"), 3)
    with pytest.raises(InputError, match=r"0001 is FAILED \(train/loss is nan\)"):
        evaluate(load_result(find(result.sweep)), "1")


def test_a_local_sweep_is_evaluated_locally_even_if_a_cluster_is_configured(
    small_sweep: MakeSweep, run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_here(small_sweep())
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    run_id = 32 * "a"
    with Journal.open(find(result.sweep).journal) as journal:
        journal.delivery.set_run_id("0000", run_id)
    for run in (result.sweep, f"{result.sweep[:-2]}/0", run_id):
        done = CliRunner().invoke(app, ["evaluate", run, "--json"])
        assert json.loads(done.stdout) == evaluate(result).to_dict()
    away = CliRunner().invoke(app, ["evaluate", 32 * "b"])
    assert isinstance(away.exception, ClusterError)


def test_evaluate_prints_one_json_object_or_a_table(small_sweep: MakeSweep, run_here: Run) -> None:
    result = run_here(small_sweep())
    printed = json.loads(CliRunner().invoke(app, ["evaluate", f"{result.sweep}/0", "--json"]).stdout)
    assert printed == evaluate(result).to_dict()
    shown = CliRunner().invoke(app, ["evaluate", result.sweep, "--trial", "0000"]).stdout
    assert "epoch 3, 359 test samples" in shown
    assert "mse_over_pca" in shown
