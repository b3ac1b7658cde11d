from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.config import load

Issues = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("overrides", "issue"),
    [
        (["objective.metric=valid/denoise_mse"], "needs noise in every trial"),
        (
            ["objective.metric=valid/denoise_mse", "search.model.noise.level={uniform: [0.1, 0.5]}"],
            "the least noise would always win",
        ),
        (["objective.metric=valid/probe_error", "training.probe_samples=0"], "needs training.probe_samples above 0"),
        (["objective.metric=valid/probe_error", "data={name: blobs}"], "needs data with labels, and blobs has none"),
        (["objective.metric=valid/probe_error", "data={name: array, path: x.npy}"], "needs data with labels"),
        (["objective.metric=valid/classification_error"], "needs model.name stacked_denoising"),
        (["objective.metric=train/loss", "search.model.weight_l1={uniform: [0, 1]}"], "rank by valid/probe_error"),
        (
            ["objective.metric=valid/mse", "search={model.standardize: {choice: [none, feature]}}"],
            "valid/mse must be in the same units in every trial, and model.standardize feature and none have different",
        ),
        (
            ["objective.metric=train/loss", "search={model.standardize: {choice: [none, sample]}}"],
            "train/loss must be in the same units in every trial",
        ),
        (["objective.metric=valid/mse_over_pca"], "needs a code smaller than the 64 inputs in every trial"),
        (
            ["objective.metric=valid/mse_over_pca", "model={name: linear}", "search={}"],
            "needs a model with a code, and linear has none",
        ),
        (
            ["objective.metric=valid/mse_over_pca", "data={name: uniform, n_features: 20}"],
            "needs a code smaller than the 20 inputs in every trial, and it reaches 64",
        ),
        (["objective.metric=valid/probe_error", "data={name: rows, rows: [[1, 2]]}"], "needs data with labels"),
        (["objective=[{metric: valid/mse}, {metric: valid/mse}]"], "must name each metric once"),
        (
            ["objective=[{metric: valid/mse}, {metric: valid/r2, at: last}]"],
            "must have the same `at` for all metrics, not best and last",
        ),
        (
            ["objective=[{metric: valid/mse}, {metric: valid/r2}]", "stopping.name=asha"],
            "stopping.name must be none with 2 objectives",
        ),
        (
            ["training={epochs: 9, patience: 9}"],
            "training.patience must be below training.epochs (9) for patience to stop a trial, not 9",
        ),
        (
            ["training={epochs: 9, patience: 3, validate_every: 9}"],
            "training.validate_every must be below training.epochs (9) for patience to stop a trial, not 9",
        ),
        (["training.patience=3", "objective.at=last"], "objective.at must be best with training.patience"),
        (
            ["model={name: stacked_denoising}", "data={name: blobs}", "search={}"],
            "model.fine_tuning must be reconstruction for data without labels",
        ),
        (["promotion.compare=denoise_mse"], "promotion.compare: denoise_mse needs noise in every trial"),
        (
            ["promotion.compare=probe_error", "data={name: blobs}"],
            "promotion.compare: probe_error needs data with labels",
        ),
        (
            ["promotion.compare=classification_error"],
            "promotion.compare: classification_error needs model.name stacked",
        ),
    ],
)
def test_sections_that_contradict_one_another_are_rejected(
    issues: Issues, sweep_file: Path, overrides: list[str], issue: str
) -> None:
    (only,) = issues(sweep_file, *overrides)
    assert issue in only


@pytest.mark.parametrize(
    ("overrides"),
    [
        ["objective.metric=valid/denoise_mse", "model.noise.level=0.3"],
        ["objective.metric=train/loss"],
        ["objective.metric=valid/probe_error", "data={name: array, path: x.npz}"],
        ["objective.metric=valid/mse_over_pca", "search.model.hidden_size={int: [8, 63]}"],
        ["objective.metric=valid/probe_error", "search={model.standardize: {choice: [none, sample, feature]}}"],
        ["objective.metric=valid/mse", "search={model.standardize: {choice: [none, sample]}}"],
        ["stopping={name: asha, grace_epochs: 2}"],
        ["stopping={name: asha, grace_epochs: 2}", "training={epochs: 9, patience: 8, validate_every: 8}"],
        ["promotion={compare: denoise_mse, confidence: 0.9}", "search.model.noise.level={uniform: [0.1, 0.5]}"],
        ["promotion={compare: probe_error, blocking: [over-fitting], max_latency_ms: 5}"],
    ],
)
def test_sections_that_fit_one_another_are_accepted(sweep_file: Path, overrides: list[str]) -> None:
    load(sweep_file, overrides)
