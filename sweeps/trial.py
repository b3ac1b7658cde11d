"""A pack of points, each trained by a Lightning fit: what runs on a worker. It imports torch; the driver does not."""

import gc
import logging
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from ray import tune

from datamodules.arrays import DataArrays
from datamodules.batches import ArrayDataModule
from models.build import Phase, build_phases
from models.errors import DivergedError
from models.examination import Examination
from models.metrics import References
from sweeps.config import SweepConfig, TrialConfig
from sweeps.durable import remove_partial
from sweeps.events import HOST_TAG, Event, PointEnded, to_plain
from sweeps.folder import PointFolder, SweepFolder
from sweeps.recorder import Plan, Recorder, Report
from sweeps.search.space import Point
from sweeps.search.stopping import rung_epochs

Accelerator = Literal["cpu", "gpu"]


def run_pack(
    pack: Mapping[str, Any],
    *,
    sweep: Mapping[str, Any],
    data: Mapping[str, Any],
    pca_mse: Any,
    column_mean: Any,
    folder: str,
    accelerator: Accelerator,
) -> None:
    """Train the points of `pack["points"]` and report to Tune; takes plain values and NumPy arrays only.

    A point that raises or diverges has that as its result: it is reported as failed and nothing is raised, so Tune
    retries what was lost with its process and nothing else.
    """
    for entry in pack["points"]:
        try:
            _run_entry(entry, sweep, data, np.asarray(pca_mse), np.asarray(column_mean), Path(folder), accelerator)
        except Exception as error:  # Whatever a training raises is that point's result, and only that point's.
            logging.getLogger(__name__).exception("Trial %s failed", entry["id"])
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            ended = PointEnded(point_id=entry["id"], failed=True, reason=reason, tags={HOST_TAG: platform.node()})
            _report_to_tune(None, math.nan, [ended])
            _free_memory()


def _run_entry(
    entry: Mapping[str, Any],
    sweep: Mapping[str, Any],
    data: Mapping[str, Any],
    pca_mse: NDArray[np.float64],
    column_mean: NDArray[np.float64],
    folder: Path,
    accelerator: Accelerator,
) -> None:
    _quieten_lightning()
    config = SweepConfig.restore(sweep)
    torch.set_num_threads(max(1, math.floor(config.resources.cpus_per_trial)))
    run_point(
        config,
        entry["point"],
        DataArrays.from_dict(data),
        References(pca_mse),
        SweepFolder(folder).point(entry["id"]),
        _report_to_tune,
        column_mean,
        accelerator,
    )


def run_point(
    sweep: SweepConfig,
    point: Point,
    arrays: DataArrays,
    references: References,
    folder: PointFolder,
    report: Report,
    column_mean: NDArray[np.float64] | None = None,
    accelerator: Accelerator = "cpu",
) -> None:
    """Train one point to its end, from its last checkpoint where there is one, and report each epoch.

    A point that diverges ends with the first epoch whose loss or metrics are not finite, and is reported as failed.
    `column_mean` (features,) is that of the scaled training inputs; a diagnosis without it says less.
    """
    trial = sweep.trial_at(point)
    phases = build_phases(
        trial.model, trial.training, input_size=arrays.n_features, n_classes=arrays.n_classes, references=references
    )
    data = ArrayDataModule(arrays, batch_size=trial.training.batch_size, seed=trial.training.seed)
    rungs = frozenset(rung_epochs(sweep.stopping, trial))
    plan = Plan(
        trial.n_epochs,
        rungs,
        n_probe_samples=_n_probe_samples(trial, arrays),
        patience=trial.training.patience,
        n_pretraining_epochs=trial.n_pretraining_epochs,
        details=sweep.figures.detailed != "none",
    )
    folder.path.mkdir(parents=True, exist_ok=True)
    remove_partial(folder.path)
    network, objective = phases[-1].module.network, phases[-1].module.objective
    examination = Examination(
        trial.model, trial.training, network, objective, references, column_mean, len(arrays.valid.inputs)
    )
    recorder = Recorder(trial.model, network, examination, data, sweep.objectives, plan, folder, report)
    first_phase, checkpoint = _resume(recorder, len(phases))
    try:
        for index, phase in enumerate(phases[first_phase:], start=first_phase):
            n_epochs_before = sum(before.epochs for before in phases[:index])
            recorder.start_phase(index, n_epochs_before, is_last=index == len(phases) - 1)
            _fit(phase, data, recorder, checkpoint if index == first_phase else None, accelerator)
    except DivergedError as error:
        recorder.report_divergence(" ".join(str(error).split()))


def _n_probe_samples(trial: TrialConfig, arrays: DataArrays) -> int:
    return trial.training.probe_samples if arrays.n_classes is not None else 0


def _resume(recorder: Recorder, n_phases: int) -> tuple[int, Path | None]:
    """The phase to go on with and Lightning's checkpoint in it: (0, None) for a point that starts.

    Past the last phase for a point that had ended: its process was lost before anybody heard of it.
    """
    path = recorder.folder.checkpoint
    if not path.exists():
        return 0, None
    state = torch.load(path, map_location="cpu", weights_only=True)["sweeps"]
    return (int(state["phase"]), path) if recorder.resume(state) else (n_phases, None)


def _fit(
    phase: Phase, data: ArrayDataModule, recorder: Recorder, checkpoint: Path | None, accelerator: Accelerator
) -> None:
    """Run one phase. Lightning's own logger, progress bar and summary are off: the driver records what happens."""
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=phase.epochs,
        check_val_every_n_epoch=phase.validate_every,
        logger=False,
        enable_checkpointing=True,  # which allows the recorder, and with it adds no callback of its own
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[recorder],
    )
    data.batch_size, data.passes = phase.batch_size, phase.passes
    if phase.inputs is not None:
        device = trainer.strategy.root_device
        phase.module.to(device)
        data = data.mapped(phase.inputs, phase.batch_size, device)
    trainer.fit(phase.module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if phase.finish is not None:
        phase.finish()


def _report_to_tune(epoch: int | None, objective: float | list[float], events: list[Event]) -> None:
    result: dict[str, Any] = {"events": to_plain(events), "objective": objective}
    if epoch is not None:
        result["epoch"] = epoch
    tune.report(result)


def _free_memory() -> None:
    """Give back what a failed training held: the next one may run in this process."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used


def _quieten_lightning() -> None:
    """Leave the worker's log to what matters: Lightning otherwise tells of every fit that it has no GPU."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
