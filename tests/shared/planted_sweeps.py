"""Sweeps whose results are planted: trials with given settings and values, recorded in a journal without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import SweepResult, load_result

COLLAPSED = {"name": "collapsed to the mean", "severity": "failure", "evidence": {"share": 1.0}, "advice": "Lower it."}
SEARCH = {
    "model.noise.level": {"uniform": [0.0, 0.5]},
    "model.weight_l1": {"loguniform": [1e-6, 1e-2]},
    "model.hidden_l1": {"loguniform": [1e-6, 1e-2]},
    "model.hidden_size": {"choice": [16, 32, 64]},
}


@dataclass(frozen=True)
class PlantedTrial:
    """A trial to record: its point, its metrics by epoch, and how it ended."""

    point: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    state: PointState = PointState.FINISHED
    diagnosis: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    start_ms: int = 0
    ms: int = 1000


def planted_config(search: Mapping[str, Any] = SEARCH, n_trials: int = 16, **sections: Any) -> SweepConfig:
    """Return the config of a sweep on digits with this search space."""
    document: dict[str, Any] = {
        "name": "planted",
        "data": {"name": "digits"},
        "model": {"name": "shallow", "hidden_size": 8},
        "training": {"epochs": 10, "probe_samples": 0},
        "search": dict(search),
        "objective": {"metric": "valid/mse"},
        "budget": {"trials": n_trials},
    }
    return SweepConfig.from_dict(document | sections)


def record(config: SweepConfig, trials: Sequence[PlantedTrial], state: SweepState | None = None) -> SweepResult:
    """Return the result of a sweep with these trials, recorded in SWEEPS_HOME; by default it has finished.

    A sweep that is left RUNNING has no process, so that it is read as INTERRUPTED.
    """
    folder, last = layout.create(config.name), max((trial.start_ms + trial.ms for trial in trials), default=0)
    entry = SweepRecord(folder.id, config.name, config.experiment, config.to_dict(), 0)
    with Journal.create(folder.journal, entry) as journal:
        for index, trial in enumerate(trials):
            point_id = f"{index:04d}"
            name = f"{point_id} planted"
            journal.start_point(PointRecord(point_id, index, dict(trial.point), name, trial.start_ms))
            for epoch, metrics in enumerate(trial.history, start=1):
                journal.record_epoch(point_id, epoch, dict(metrics), trial.start_ms + epoch)
            if trial.state is not PointState.RUNNING:
                diagnosis = list(trial.diagnosis) if trial.state is PointState.FINISHED else None
                end = PointEnd(trial.state, trial.reason, dict(trial.tags), diagnosis)
                journal.end_point(point_id, end, trial.start_ms + trial.ms)
        if state is not SweepState.RUNNING:
            tags = {"sweeps.seconds": f"{(last + 500) / 1000}", "sweeps.startup_seconds": "0.5"}
            journal.end_sweep(state or SweepState.FINISHED, "", tags, last + 500)
    return load_result(folder)


def draw_points(search: Mapping[str, Any], n_trials: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return points drawn at random from a search space as a sweep file writes it."""
    generator = np.random.default_rng(seed)
    return [{path: _draw(values, generator) for path, values in search.items()} for _ in range(n_trials)]


def additive_sweep(n_trials: int = 64, seed: int = 0, noise: float = 0.0, **sections: Any) -> SweepResult:
    """Return a sweep whose error adds 3 u + v for noise level and log weight_l1, each in [0, 1]; the rest do nothing.

    The two explain 9/10 and 1/10 of the variance: that of a uniform variable is 1/12, times the factor squared.
    """
    points = draw_points(SEARCH, n_trials, seed)
    errors = np.random.default_rng(seed + 1).normal(0.0, 1.0, n_trials) * noise
    trials = [
        PlantedTrial(point, [{"valid/mse": 1 + additive_error(point) + float(error)}], start_ms=1000 * index)
        for index, (point, error) in enumerate(zip(points, errors, strict=True))
    ]
    return record(planted_config(SEARCH, n_trials, **sections), trials)


def additive_error(point: Mapping[str, Any]) -> float:
    """Return 3 u + v of a point of `SEARCH`."""
    return float(3 * point["model.noise.level"] / 0.5 + (np.log10(point["model.weight_l1"]) + 6) / 4)


def collapsing_sweep(n_trials: int = 16, threshold: float = 3e-3, seed: int = 0) -> SweepResult:
    """Return a sweep in which every trial with model.hidden_l1 above a threshold collapsed, and no other."""
    search = SEARCH | {"model.hidden_l1": {"loguniform": [3e-4, 3e-2]}}
    trials = []
    for index, point in enumerate(draw_points(search, n_trials, seed)):
        collapsed = point["model.hidden_l1"] > threshold
        error = 1.0 if collapsed else 0.2 + 0.1 * point["model.noise.level"]
        findings = [COLLAPSED] if collapsed else []
        trials.append(PlantedTrial(point, [{"valid/mse": error}], diagnosis=findings, start_ms=1000 * index))
    return record(planted_config(search, n_trials), trials)


def _draw(values: Mapping[str, Any], generator: np.random.Generator) -> Any:
    ((kind, bounds),) = values.items()
    if kind in ("choice", "grid"):
        return bounds[int(generator.integers(len(bounds)))]
    low, high = bounds
    if kind == "int":
        return int(generator.integers(low, high + 1))
    drawn = generator.uniform(low, high) if kind == "uniform" else np.exp(generator.uniform(*np.log([low, high])))
    return round(float(drawn)) if kind == "logint" else float(drawn)
