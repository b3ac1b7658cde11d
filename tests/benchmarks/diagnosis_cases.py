"""Trainings whose diagnosis is known in advance: healthy ones as a sensible user would run them, and injected faults.

Each line of `_HEALTHY` and `_FAULTY` is two trainings. The first was used to choose the thresholds of the diagnosis.
The second, with another seed and other settings or `data`, is held out and confirms them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnosis_tables import N_COLUMNS, breast_cancer, bytes_of_digits, hidden_causes, spread_scales, wine

from sweeps.config import load
from sweeps.config.dotted_paths import with_values
from sweeps.models.diagnosis.findings import FindingName
from sweeps.search.searchers.random_search import random_point

HEALTHY = "healthy"
Settings = Mapping[str, Any]

# What each injected fault may be called: a fault is found if one of these is above "note".
NO_LEARNING = {FindingName.HARDLY_TRAINED, FindingName.COLUMN_MEAN}
NAMES = {
    "different scales": {FindingName.DIFFERENT_SCALES},
    "learning rate too high": {FindingName.LEARNING_RATE, FindingName.DEAD, *NO_LEARNING},
    "weight_l1 too strong": {FindingName.PENALTY, FindingName.COLLAPSED, FindingName.WORSE_THAN_PCA},
    "hidden_l1 too strong": {FindingName.PENALTY, FindingName.COLLAPSED, FindingName.WORSE_THAN_PCA, FindingName.DEAD},
    "dying relu": {FindingName.DEAD, FindingName.LEARNING_RATE, FindingName.COLUMN_MEAN},
    "saturation": {FindingName.SATURATED, *NO_LEARNING},
    "too few epochs": {FindingName.STILL_IMPROVING, FindingName.WORSE_THAN_PCA, *NO_LEARNING},
    "learning rate too low": {FindingName.STILL_IMPROVING, FindingName.WORSE_THAN_PCA, *NO_LEARNING},
    "identity copying": {FindingName.COPIED},
    "over-fitting": {FindingName.OVERFITTING},
    "features hardly vary": {FindingName.HARDLY_VARIES},
    "noise too strong": {FindingName.WORSE_THAN_PCA, *NO_LEARNING},
    "too few units": {FindingName.FOLLOWS_MEAN},
    "wrong gradient": {FindingName.COLUMN_MEAN},
}


@dataclass(frozen=True)
class Case:
    """One training: `label` is the injected fault or "healthy", `document` the sections of a sweep file."""

    label: str
    name: str
    document: Settings
    is_held_out: bool


def cases(folder: Path) -> Iterator[Case]:
    """Yield every training; the tables are written to `folder`."""
    bases = _bases(folder)
    for index in range(16):
        yield Case(HEALTHY, f"quickstart {index}", _quickstart(index), is_held_out=index % 2 == 1)
    lines = [(HEALTHY, *line) for line in _HEALTHY] + _FAULTY
    for label, name, base, settings, other in lines:
        for number, values in enumerate((settings, {**settings, "training.seed": 1, **other})):
            data = bases[values.get("data", base)]
            document = with_values(data, _dotted({path: value for path, value in values.items() if path != "data"}))
            yield Case(label, f"{name} {'ab'[number]}", document, is_held_out=number == 1)


def _dotted(values: Settings) -> dict[str, Any]:
    """Expand the short names of this file's tables."""
    short = {"lr": "training.learning_rate", "epochs": "training.epochs", "act": "model.activation"}
    short |= {"size": "model.hidden_size", "sizes": "model.hidden_sizes", "code": "model.code_size"}
    short |= {"noise": "model.noise.level", "model": "model.name", "out": "model.output_activation"}
    return {short.get(path, path if "." in path else f"model.{path}"): value for path, value in values.items()}


def _quickstart(index: int) -> dict[str, Any]:
    config = load("quickstart")
    trial = config.trial_at(random_point(config.search, config.algorithm.seed, index))
    return {"name": "case", "objective": {"metric": "valid/mse", "at": "last"}, **trial.to_dict()}


def _bases(folder: Path) -> dict[str, dict[str, Any]]:
    digits = {"name": "digits", "n_train": 1200, "n_valid": 400, "n_test": 0}
    data: dict[str, tuple[dict[str, Any], int]] = {
        "digits": (digits, 64),
        "mnist": ({"name": "mnist", "n_train": 3000, "n_valid": 1000, "n_test": 0}, 128),
        "uniform": ({"name": "uniform", "n_samples": 3000, "n_features": 16, "n_test": 0}, 64),
        "normal": ({"name": "normal", "n_samples": 3000, "n_features": 20, "n_test": 0}, 64),
        "flat": ({"name": "normal", "n_samples": 3000, "mean": 1.1, "standard_deviation": 0.0012, "n_test": 0}, 64),
        "bytes": ({"name": "array", "path": str(bytes_of_digits(folder / "bytes.npy")), "n_test": 0}, 64),
        **{name: ({"name": "array", "path": str(path), "n_test": 0}, 64) for name, path in _tables(folder).items()},
        "blobs": ({"name": "blobs"}, 29),
        "blobs-full": ({"name": "blobs", "subset": "full"}, 98),
        "rows": ({"name": "rows", "rows": [[0.37853141, 1], [0.59747807, 1]]}, 2),
    }
    return {
        name: {
            "name": "case",
            "data": section,
            "model": {"name": "shallow"},
            "training": {"batch_size": batch, "epochs": 40, "learning_rate": 0.003, "probe_samples": 0},
            "objective": {"metric": "valid/mse", "at": "last"},
        }
        for name, (section, batch) in data.items()
    }


def _tables(folder: Path) -> dict[str, Path]:
    """Write the tables: "a to b" has columns with deviations from a to b."""
    return {
        "table": hidden_causes(folder / "table.npy", np.ones(N_COLUMNS)),
        "large table": hidden_causes(folder / "large.npy", np.full(N_COLUMNS, 30.0)),
        "offset 300": hidden_causes(folder / "offset300.npy", np.ones(N_COLUMNS), offset=300.0),
        "offset 3000": hidden_causes(folder / "offset3000.npy", np.ones(N_COLUMNS), offset=3000.0),
        "large offset": hidden_causes(folder / "large_offset.npy", np.full(N_COLUMNS, 30.0), offset=10.0),
        "1e-6 to 1e6": hidden_causes(folder / "widest.npy", spread_scales(1e-6, 1e6, seed=1)),
        "1e-3 to 1e3": hidden_causes(folder / "wide.npy", spread_scales(1e-3, 1e3, seed=2), offset=2.0),
        "0.3 to 3": hidden_causes(folder / "ratio10.npy", spread_scales(0.3, 3.0, seed=3)),
        "0.2 to 6": hidden_causes(folder / "ratio30.npy", spread_scales(0.2, 6.0, seed=4), offset=1.0),
        "wine": wine(folder / "wine.npy"),
        "breast cancer": breast_cancer(folder / "cancer.npy"),
    }


_STACK = {"model": "stacked_denoising", "model.pretraining.epochs": 4, "model.pretraining.learning_rate": 0.01}
_STACK |= {"model.pretraining.batch_size": 50, "fine_tuning": "reconstruction"}
_TIED = {"act": "sigmoid", "out": "sigmoid", "loss": "bce", "tied_weights": True}
_DEEP = {"model": "deep"}
_BY_FEATURE = {"standardize": "feature"}
_TABLE_STACK = {**_STACK, "sizes": [20, 10], "act": "elu", "out": "linear", "loss": "mse", "tied_weights": False}

# (name, data, settings, what the held-out twin has differently)
_HEALTHY: list[tuple[str, str, Settings, Settings]] = [
    ("relu", "digits", {"size": 32, "epochs": 60}, {"size": 48}),
    ("relu, long", "digits", {"size": 24, "epochs": 200, "lr": 0.001}, {"size": 20}),
    ("linear", "digits", {"size": 16, "act": "linear", "epochs": 80, "lr": 0.01}, {"size": 10}),
    ("tanh", "digits", {"size": 24, "act": "tanh", "epochs": 60}, {"size": 40}),
    ("elu", "digits", {"size": 32, "act": "elu", "epochs": 40}, {"size": 20}),
    ("tied denoiser", "digits", {**_TIED, "size": 64, "noise": 0.2, "lr": 0.01}, {"size": 49, "noise": 0.3}),
    ("light penalties", "digits", {"size": 64, "hidden_l1": 1e-4, "weight_l1": 1e-4, "noise": 0.1}, {"size": 100}),
    ("sparse", "digits", {"size": 48, "hidden_l1": 1e-3, "epochs": 60}, {"act": "elu"}),
    ("sparse, long", "digits", {"size": 60, "act": "elu", "hidden_l1": 1e-3, "epochs": 150}, {"size": 80}),
    ("deep relu", "digits", {**_DEEP, "sizes": [32], "code": 8, "epochs": 80}, {"sizes": [48], "code": 10}),
    ("deep elu", "digits", {**_DEEP, "sizes": [48, 24], "code": 8, "act": "elu", "epochs": 60}, {"sizes": [64, 32]}),
    ("deep tanh", "digits", {**_DEEP, "sizes": [48, 24], "code": 8, "act": "tanh", "epochs": 100}, {"code": 6}),
    (
        "deep sigmoid",
        "digits",
        {**_DEEP, "sizes": [48], "code": 8, "act": "sigmoid", "epochs": 150, "lr": 0.005},
        {"sizes": [32], "code": 6, "code_activation": "sigmoid"},
    ),
    (
        "deep, short",
        "digits",
        {**_DEEP, "sizes": [64], "code": 12, "act": "elu", "epochs": 15, "lr": 0.005},
        {"code": 8},
    ),
    ("deep denoiser", "digits", {**_DEEP, "sizes": [64], "code": 16, "act": "elu", "noise": 0.2}, {"noise": 0.3}),
    ("stack", "digits", {**_STACK, "sizes": [48, 24], "noise": 0.1, "epochs": 60, "lr": 0.01}, {"sizes": [40, 16]}),
    (
        "classifier",
        "digits",
        {**_STACK, "sizes": [64, 32], "fine_tuning": "classification", "lr": 0.01},
        {"sizes": [48]},
    ),
    ("linear model, denoising", "digits", {"model": "linear", "noise": 0.2}, {"noise": 0.1}),
    (
        "deep elu",
        "mnist",
        {**_DEEP, "sizes": [128], "code": 16, "act": "elu", "out": "sigmoid", "epochs": 15},
        {"code": 24},
    ),
    ("tied denoiser", "mnist", {**_TIED, "size": 64, "noise": 0.2, "epochs": 15}, {"noise": 0.4}),
    ("relu", "mnist", {"size": 64, "epochs": 15, "out": "sigmoid"}, {"size": 49}),
    (
        "code of two",
        "mnist",
        {**_DEEP, "sizes": [128, 32], "code": 2, "act": "elu", "out": "sigmoid", "epochs": 20},
        {},
    ),
    (
        "classifier",
        "mnist",
        {**_STACK, "sizes": [64, 64], "fine_tuning": "classification", "epochs": 15},
        {"noise": 0.3},
    ),
    ("deep elu", "table", {**_DEEP, "sizes": [32], "code": 6, "act": "elu", "epochs": 60}, {"sizes": [48], "code": 8}),
    ("relu", "table", {"size": 16, "epochs": 60}, {"size": 20}),
    ("linear", "table", {"size": 6, "act": "linear", "epochs": 60, "lr": 0.01}, {"size": 10}),
    ("linear", "uniform", {"size": 8, "act": "linear", "epochs": 30}, {"size": 5}),
    ("deep tanh", "normal", {**_DEEP, "sizes": [32], "code": 10, "act": "tanh", "epochs": 80}, {"act": "relu"}),
    ("nine units", "blobs-full", {"size": 9, "weight_l2": 1e-4, "training.passes_per_epoch": 5}, {"size": 12}),
    ("relu", "0.3 to 3", {"size": 16, "epochs": 60}, {"data": "0.2 to 6", "act": "elu"}),
    ("linear", "0.2 to 6", {"size": 6, "act": "linear", "epochs": 60, "lr": 0.01}, {"size": 10}),
    ("deep elu", "0.2 to 6", {**_DEEP, "sizes": [32], "code": 8, "act": "elu", "epochs": 80}, {"data": "0.3 to 3"}),
    ("relu", "1e-6 to 1e6", {**_BY_FEATURE, "size": 16, "epochs": 60}, {"data": "1e-3 to 1e3", "act": "elu"}),
    (
        "deep elu",
        "1e-3 to 1e3",
        {**_BY_FEATURE, **_DEEP, "sizes": [32], "code": 8, "act": "elu", "epochs": 60},
        {"data": "1e-6 to 1e6", "act": "tanh"},
    ),
    ("stack", "1e-6 to 1e6", {**_BY_FEATURE, **_TABLE_STACK, "epochs": 60}, {"sizes": [24, 8]}),
    ("linear", "wine", {**_BY_FEATURE, "size": 4, "act": "linear", "epochs": 200, "lr": 0.01}, {"size": 6}),
    (
        "relu",
        "breast cancer",
        {**_BY_FEATURE, "size": 12, "epochs": 150, "training.batch_size": 32},
        {"act": "elu", "size": 8},
    ),
]

# (injected fault, name, data, settings, what the held-out twin has differently)
_FAULTY: list[tuple[str, str, str, Settings, Settings]] = [
    ("different scales", "relu", "1e-6 to 1e6", {"size": 16, "epochs": 60}, {"data": "1e-3 to 1e3", "act": "elu"}),
    (
        "different scales",
        "deep elu",
        "1e-3 to 1e3",
        {**_DEEP, "sizes": [32], "code": 8, "act": "elu", "epochs": 60},
        {"data": "1e-6 to 1e6", "act": "tanh"},
    ),
    ("different scales", "stack", "1e-6 to 1e6", {**_TABLE_STACK, "epochs": 60}, {"data": "1e-3 to 1e3"}),
    (
        "different scales",
        "linear",
        "wine",
        {"size": 4, "act": "linear", "epochs": 200, "lr": 0.01},
        {"act": "tanh", "size": 6},
    ),
    (
        "different scales",
        "relu",
        "breast cancer",
        {"size": 12, "epochs": 150, "training.batch_size": 32},
        {"act": "elu", "size": 8},
    ),
    ("learning rate too high", "relu", "digits", {"size": 64, "lr": 0.3, "epochs": 20}, {"lr": 1.0}),
    ("learning rate too high", "deep tanh", "digits", {**_DEEP, "sizes": [32], "act": "tanh", "lr": 0.3}, {"lr": 0.1}),
    (
        "learning rate too high",
        "gradient descent",
        "digits",
        {"size": 32, "training.optimizer": "sgd", "lr": 100.0},
        {"lr": 1e4},
    ),
    (
        "learning rate too high",
        "deep elu",
        "mnist",
        {**_DEEP, "sizes": [64], "code": 16, "act": "elu", "lr": 0.1, "epochs": 8},
        {"lr": 0.3},
    ),
    ("learning rate too high", "linear", "table", {"size": 6, "act": "linear", "lr": 3.0}, {"lr": 1.0}),
    ("weight_l1 too strong", "relu", "digits", {"size": 64, "weight_l1": 1.0}, {"weight_l1": 5.0}),
    ("weight_l1 too strong", "deep", "digits", {**_DEEP, "sizes": [32], "code": 8, "weight_l1": 0.5}, {"act": "elu"}),
    ("weight_l1 too strong", "relu", "table", {"size": 16, "weight_l1": 5.0}, {"weight_l1": 20.0}),
    ("hidden_l1 too strong", "relu", "digits", {"size": 64, "hidden_l1": 1.0}, {"hidden_l1": 5.0}),
    ("hidden_l1 too strong", "sigmoid", "digits", {"size": 64, "act": "sigmoid", "hidden_l1": 1.0}, {"hidden_l1": 3.0}),
    ("hidden_l1 too strong", "both", "digits", {"size": 64, "hidden_l1": 5.0, "weight_l1": 5.0}, {"size": 32}),
    ("dying relu", "shallow", "digits", {"size": 64, "lr": 0.1, "epochs": 20}, {"lr": 0.05}),
    ("dying relu", "deep", "digits", {**_DEEP, "sizes": [64], "code": 8, "lr": 0.05}, {"sizes": [48, 24]}),
    ("hidden_l1 too strong", "sparse", "digits", {"size": 64, "hidden_l1": 0.05, "epochs": 30}, {"hidden_l1": 0.1}),
    (
        "saturation",
        "sigmoid from large weights",
        "digits",
        {"size": 64, "act": "sigmoid", "initialization": "unit_interval", "epochs": 10},
        {"size": 32, "epochs": 20},
    ),
    (
        "saturation",
        "tanh from large weights",
        "digits",
        {**_DEEP, "sizes": [48], "code": 8, "act": "tanh", "initialization": "unit_interval", "epochs": 30},
        {"sizes": [64]},
    ),
    ("saturation", "tanh on large values", "large table", {"size": 16, "act": "tanh", "lr": 0.01}, {"size": 20}),
    (
        "saturation",
        "tanh on large values",
        "large offset",
        {"size": 16, "act": "tanh", "lr": 0.01},
        {"size": 20, "act": "sigmoid"},
    ),
    ("saturation", "tanh on bytes", "bytes", {"size": 32, "act": "tanh", "lr": 0.01}, {"size": 24}),
    ("too few epochs", "linear", "digits", {"size": 16, "act": "linear", "epochs": 3}, {"epochs": 5}),
    (
        "too few epochs",
        "deep",
        "digits",
        {**_DEEP, "sizes": [48], "code": 8, "act": "tanh", "epochs": 5},
        {"epochs": 8},
    ),
    ("too few epochs", "deep sigmoid", "mnist", {**_DEEP, "sizes": [64], "act": "sigmoid", "epochs": 3}, {"epochs": 5}),
    ("too few epochs", "relu", "table", {"size": 16, "epochs": 4}, {"epochs": 3}),
    (
        "learning rate too low",
        "gradient descent",
        "digits",
        {"size": 16, "act": "linear", "training.optimizer": "sgd", "lr": 1e-3, "epochs": 20},
        {"lr": 1e-4},
    ),
    ("learning rate too low", "deep", "digits", {**_DEEP, "sizes": [32], "lr": 1e-5, "epochs": 30}, {"lr": 3e-5}),
    ("learning rate too low", "elu", "table", {"size": 16, "act": "elu", "lr": 1e-5, "epochs": 30}, {"lr": 5e-5}),
    ("identity copying", "relu", "digits", {"size": 128, "lr": 0.005}, {"size": 150}),
    ("identity copying", "linear model", "digits", {"model": "linear", "lr": 0.01}, {"lr": 0.005}),
    (
        "identity copying",
        "deep",
        "table",
        {**_DEEP, "sizes": [64], "code": 30, "act": "elu", "epochs": 60},
        {"code": 40},
    ),
    (
        "over-fitting",
        "few samples",
        "digits",
        {"data.n_train": 60, "size": 48, "lr": 0.01, "epochs": 150, "training.batch_size": 20},
        {"data.n_train": 80, "size": 32},
    ),
    (
        "over-fitting",
        "few samples, deep",
        "digits",
        {
            **_DEEP,
            "data.n_train": 100,
            "sizes": [64],
            "code": 16,
            "act": "elu",
            "epochs": 300,
            "training.batch_size": 20,
        },
        {"data.n_train": 60, "act": "tanh"},
    ),
    (
        "over-fitting",
        "few samples",
        "mnist",
        {
            **_DEEP,
            "data.n_train": 100,
            "sizes": [64],
            "code": 16,
            "act": "elu",
            "epochs": 150,
            "training.batch_size": 20,
        },
        {"data.n_train": 150},
    ),
    ("features hardly vary", "linear model", "flat", {"model": "linear", "training.optimizer": "sgd", "lr": 0.1}, {}),
    ("features hardly vary", "relu", "flat", {"size": 40, "epochs": 20}, {"act": "elu"}),
    ("features hardly vary", "relu", "offset 300", {"size": 16, "epochs": 60}, {"data": "offset 3000", "act": "elu"}),
    ("noise too strong", "tanh", "digits", {"size": 16, "act": "tanh", "noise": 0.6, "lr": 0.01}, {"noise": 0.7}),
    (
        "noise too strong",
        "deep",
        "digits",
        {**_DEEP, "sizes": [48], "code": 12, "noise": 0.8, "lr": 0.01},
        {"act": "elu"},
    ),
    (
        "too few units",
        "nine units",
        "blobs",
        {"size": 9, "weight_l2": 1e-4, "training.passes_per_epoch": 50, "epochs": 60, "lr": 0.0003, "training.seed": 2},
        {},
    ),
    (
        "wrong gradient",
        "two rows",
        "rows",
        {
            **_DEEP,
            "sizes": [],
            "code": 1,
            "decoder_sizes": [2],
            "act": "sigmoid_first_row",
            "code_activation": "sigmoid_first_row",
            "biases": False,
            "initialization": "unit_interval",
            "training.passes_per_epoch": 500,
            "epochs": 10,
            "lr": 0.01,
        },
        {"training.passes_per_epoch": 250},
    ),
]
