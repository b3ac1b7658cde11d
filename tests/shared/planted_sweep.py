"""A sweep that was never trained: its journal and arrays hold what a test has planted."""

import io
import math

import numpy as np

from sweeps.config import SweepConfig
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.results import read_result
from sweeps.tracking.sweep_end import SweepEnd, record_end

START_MS = 1_700_000_000_000
COLLAPSED = {
    "name": "collapsed to the mean",
    "severity": "failure",
    "evidence": {"valid/r2": 0.01},
    "advice": "Lower model.hidden_l1.",
    "change": {},
}


def planted_config(n_trials: int, *, two_objectives: bool = False, description: str = "Planted.") -> SweepConfig:
    objective: object = {"metric": "valid/mse"}
    if two_objectives:
        objective = [{"metric": "valid/mse"}, {"metric": "valid/code_sparsity"}]
    return SweepConfig.from_dict(
        {
            "name": "planted",
            "description": description,
            "data": {"name": "digits"},
            "model": {"name": "shallow"},
            "training": {"epochs": 4},
            "search": {
                "model.hidden_size": {"choice": [16, 32, 64]},
                "model.hidden_l1": {"loguniform": [1e-6, 1e-2]},
                "model.noise.level": {"uniform": [0.0, 0.5]},
                "model.activation": {"choice": ["sigmoid", "relu"]},
            },
            "objective": objective,
            "budget": {"trials": n_trials},
        }
    )


def planted_error(point: dict[str, object]) -> float:
    """The objective: hidden_l1 matters most, then the size, then noise; the activation does not."""
    penalty = math.log10(float(str(point["model.hidden_l1"]))) + 4  # best at 1e-4
    size = {16: 2.0, 32: 1.0, 64: 0.0}[int(str(point["model.hidden_size"]))]
    noise = float(str(point["model.noise.level"])) - 0.2
    return 0.02 + 0.010 * penalty**2 + 0.006 * size + 0.05 * noise**2


def plant(config: SweepConfig, *, n_epochs: int = 4, seed: int = 0, n_failed: int = 1) -> SweepFolder:
    """Record a finished sweep below SWEEPS_HOME; its last `n_failed` trials fail."""
    folder = layout.create(config.name)
    record = SweepRecord(
        sweep_id=folder.id,
        name=config.name,
        experiment=config.experiment,
        config=config.to_dict(),
        start_ms=START_MS,
        dataset={"name": "digits"},
        description=config.description,
    )
    generator = np.random.default_rng(seed)
    with Journal.create(folder.journal, record) as journal:
        for index in range(config.n_trials):
            fails = index >= config.n_trials - n_failed
            _plant_trial(journal, folder, index, n_epochs, generator, fails)
        end = SweepEnd(SweepState.FINISHED, START_MS + 10_000 * config.n_trials, 10.0 * config.n_trials, 2.0)
        record_end(journal, read_result(journal, folder), end)
    return folder


def _plant_trial(
    journal: Journal, folder: SweepFolder, index: int, n_epochs: int, generator: np.random.Generator, fails: bool
) -> None:
    point_id, start = f"{index:04d}", START_MS + 10_000 * index
    point: dict[str, object] = {
        "model.hidden_size": int(generator.choice([16, 32, 64])),
        "model.hidden_l1": float(10 ** generator.uniform(-6, -2)),
        "model.noise.level": float(generator.uniform(0, 0.5)),
        "model.activation": str(generator.choice(["sigmoid", "relu"])),
    }
    journal.start_point(
        PointRecord(
            point_id, index, point, f"{point_id} planted", start, references={"mean predictor": 0.12, "PCA": 0.015}
        )
    )
    if fails:
        journal.record_epoch(point_id, 1, {"valid/mse": math.nan}, start + 100)
        journal.end_point(point_id, PointEnd(PointState.FAILED, "loss is NaN in epoch 1"), start + 200)
        return
    error = planted_error(point)
    for epoch in range(1, n_epochs + 1):
        value = error + 0.05 * 0.8 ** (20 * epoch / n_epochs)
        sparsity = 0.3 + 0.1 * math.log10(float(str(point["model.hidden_l1"])) * 1e6)
        metrics = {
            "train/loss": value * 0.9,
            "valid/mse": value,
            "valid/r2": 1 - value,
            "valid/code_sparsity": sparsity,
        }
        journal.record_epoch(point_id, epoch, metrics, start + 1000 * epoch)
    is_collapsed = float(str(point["model.hidden_l1"])) > 3e-3
    end = PointEnd(PointState.FINISHED, diagnosis=[COLLAPSED] if is_collapsed else [])
    journal.end_point(point_id, end, start + 9_000)
    content = io.BytesIO()
    filters = generator.normal(size=(16, 64)).astype(np.float32)
    samples = generator.random((10, 64), np.float32)
    np.savez(content, filters=filters, originals=samples, reconstructions=samples * 0.9, image_shape=np.array([8, 8]))
    place = folder.point(point_id).best_arrays
    place.parent.mkdir(parents=True)  # type: ignore[union-attr]
    place.write_bytes(content.getvalue())
