"""A pack of points, each trained by a Lightning fit: what runs on a worker. It imports torch; the driver does not."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from ray import tune

from datamodules.arrays import DataArrays
from datamodules.batches import ArrayDataModule
from models.build import Phase, build_phases
from models.errors import DivergedError
from models.metrics import References
from sweeps.config import SweepConfig, TrialConfig
from sweeps.events import Event, PointEnded, to_plain
from sweeps.folder import PointFolder, SweepFolder
from sweeps.recorder import Plan, Recorder, Report
from sweeps.search.space import Point
from sweeps.search.stopping import rung_epochs


def run_pack(
    pack: Mapping[str, Any], *, sweep: Mapping[str, Any], data: Mapping[str, Any], pca_mse: Any, folder: str
) -> None:
    """Train the points of `pack["points"]` and report to Tune; takes plain values and NumPy arrays only.

    A point that raises or diverges has that as its result: it is reported as failed and nothing is raised, so Tune
    retries what was lost with its process and nothing else.
    """
    _quieten_lightning()
    config = SweepConfig.from_dict(dict(sweep))
    arrays = DataArrays.from_dict(dict(data))
    references = References(np.asarray(pca_mse))
    torch.set_num_threads(max(1, math.floor(config.resources.cpus_per_trial)))
    for entry in pack["points"]:
        point_folder = SweepFolder(Path(folder)).point(entry["id"])
        try:
            run_point(config, entry["point"], arrays, references, point_folder, _report_to_tune)
        except Exception as error:  # Whatever a training raises is that point's result, and only that point's.
            logging.getLogger(__name__).exception("Trial %s failed", entry["id"])
            ended = PointEnded(point_id=entry["id"], failed=True, reason=_one_line(error))
            _report_to_tune(None, math.nan, [ended])


def run_point(
    sweep: SweepConfig,
    point: Point,
    arrays: DataArrays,
    references: References,
    folder: PointFolder,
    report: Report,
) -> None:
    """Train one point to its end, from its last checkpoint where there is one, and report each epoch.

    Raises models.errors.DivergedError as soon as an epoch ends with a loss or a metric that is not finite.
    """
    trial = sweep.trial_at(point)
    phases = build_phases(
        trial.model, trial.training, input_size=arrays.n_features, n_classes=arrays.n_classes, references=references
    )
    data = ArrayDataModule(arrays, batch_size=trial.training.batch_size, seed=trial.training.seed)
    rungs = frozenset(rung_epochs(sweep.stopping, trial))
    plan = Plan(trial.n_epochs, rungs, _n_probe_samples(trial, arrays))
    folder.path.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(trial.model, phases[-1].module.network, data, sweep.objectives, plan, folder, report)
    first_phase, checkpoint = _resume(recorder)
    for index, phase in enumerate(phases[first_phase:], start=first_phase):
        recorder.start_phase(index, sum(before.epochs for before in phases[:index]))
        _fit(phase, data, recorder, checkpoint if index == first_phase else None)


def _n_probe_samples(trial: TrialConfig, arrays: DataArrays) -> int:
    return trial.training.probe_samples if arrays.n_classes is not None else 0


def _resume(recorder: Recorder) -> tuple[int, Path | None]:
    """The phase to go on with and Lightning's checkpoint in it: (0, None) for a point that starts."""
    path = recorder.folder.checkpoint
    if not path.exists():
        return 0, None
    state = torch.load(path, map_location="cpu", weights_only=True)["sweeps"]
    recorder.restore(state)
    return int(state["phase"]), path


def _fit(phase: Phase, data: ArrayDataModule, recorder: Recorder, checkpoint: Path | None) -> None:
    """Run one phase. Lightning's own logger, progress bar and summary are off: the driver records what happens."""
    trainer = lightning.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
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


def _report_to_tune(epoch: int | None, objective: float | list[float], events: list[Event]) -> None:
    result: dict[str, Any] = {"events": to_plain(events), "objective": objective}
    if epoch is not None:
        result["epoch"] = epoch
    tune.report(result)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if type(error) is DivergedError else f"{type(error).__name__}: {text}"


def _quieten_lightning() -> None:
    """Leave the worker's log to what matters: Lightning otherwise tells of every fit that it has no GPU."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
