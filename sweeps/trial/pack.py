"""A pack of points, trained by Lightning fits: what runs on a worker. It imports torch; the driver does not."""

import sweeps.trial.lightning_import  # noqa: F401, I001  # before Lightning
import gc
import io
import json
import logging
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from platform import node
from typing import Literal

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.datamodules.side_by_side import SideBySide
from sweeps.models.training.autoencoder import Autoencoder
from sweeps.models.build import Phase, build_phases
from sweeps.models.diagnosis.examination import Examination
from sweeps.models.training.learners import stacking_pays
from sweeps.models.metrics import References
from sweeps.config import SweepConfig, TrialConfig
from sweeps.storage.atomic_write import PATIENCE_SECONDS, remove_partial
from sweeps.trial.events import HOST_TAG, PointEnded
from sweeps.storage.layout import SweepFolder
from sweeps.trial.lightning_callbacks import PackRecorder, PackReport, PointCheckpoints, Reports
from sweeps.trial.layer_cache import LayerStore, pretrain
from sweeps.trial.epoch_schedule import EpochSchedule
from sweeps.trial.recorder import Recorder, reason_of
from sweeps.storage.object_store import patience
from sweeps.search.successive_halving import halving
from sweeps.search.packing import batches_of, draws_seed
from sweeps.config.search_space import Point
from sweeps.trial.point import PointTraining

Accelerator = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class TrialContext:
    """What the points of a sweep are trained with.

    `column_mean` (features,) is that of the scaled training inputs; a diagnosis without it says less.
    """

    sweep: SweepConfig
    arrays: DataArrays
    references: References
    folder: SweepFolder
    column_mean: NDArray[np.float64] | None = None
    accelerator: Accelerator = "cpu"

    @cached_property
    def data(self) -> ArrayDataModule:
        """What serves the arrays to all of them: on the device once."""
        return ArrayDataModule(self.arrays, batch_size=1, seed=0)


def run_points(points: Mapping[str, Point], surroundings: TrialContext, report: PackReport) -> None:
    """Train points, by their ids, to their ends, from their last checkpoints where there are any; report every epoch.

    Those that take the same batches train together. A point that diverges ends with the first epoch whose loss or
    metrics are not finite; that point, and one that raises, is reported as failed. A store that does not answer is
    waited for as long as a full disk.
    """
    with patience(PATIENCE_SECONDS):
        _run_points(points, surroundings, Reports(report))


def _run_points(points: Mapping[str, Point], surroundings: TrialContext, reports: Reports) -> None:
    together: dict[Hashable, list[PointTraining]] = defaultdict(list)
    for point_id, point in points.items():
        try:
            training = _prepare(point_id, point, surroundings, reports)
        except Exception as error:  # Whatever a point raises is that point's result, and only that point's.
            logging.getLogger(__name__).exception("Trial %s failed", point_id)
            ended = PointEnded(point_id=point_id, failed=True, reason=reason_of(error), tags={HOST_TAG: node()})
            reports.take(point_id, None, math.nan, [ended])
        else:
            if training is not None:
                together[_batches_of(training, surroundings.sweep)].append(training)
    reports.send()
    for trainings in together.values():
        _train(trainings, surroundings, reports)


def _prepare(point_id: str, point: Point, surroundings: TrialContext, reports: Reports) -> PointTraining | None:
    """A point as it stands; None for one that has ended, while others of its pack were lost with their process."""
    sweep, arrays = surroundings.sweep, surroundings.arrays
    trial = sweep.trial_at(point)
    phases = build_phases(
        trial.model,
        trial.training,
        input_size=arrays.n_features,
        n_classes=arrays.n_classes,
        references=surroundings.references,
    )
    last = phases[-1].member
    recorder = Recorder(
        trial.model,
        last.network,
        Examination(
            trial.model,
            trial.training,
            last.network,
            last.objective,
            surroundings.references,
            surroundings.column_mean,
            len(arrays.valid.inputs),
        ),
        surroundings.data,
        sweep.objectives,
        EpochSchedule(
            trial.n_epochs,
            frozenset(sweep.stopping.rung_epochs(trial)),
            n_probe_samples=_n_probe_samples(trial, arrays),
            patience=trial.training.patience,
            n_pretraining_epochs=trial.n_pretraining_epochs,
            details=sweep.figures.detailed != "none",
            identity=_identity(trial),
        ),
        surroundings.folder.point(point_id),
        partial(reports.take, point_id),
    )
    recorder.folder.path.mkdir(parents=True, exist_ok=True)
    remove_partial(recorder.folder.path)
    if recorder.tell_end_again():
        return None
    if not recorder.folder.checkpoint.exists():
        return PointTraining(trial, phases, recorder)
    state = torch.load(io.BytesIO(recorder.folder.checkpoint.read_bytes()), map_location="cpu", weights_only=True)[
        "sweeps"
    ]
    if state["identity"] != recorder.plan.identity:
        return PointTraining(trial, phases, recorder)
    recorder.resume(state)
    return PointTraining(trial, phases, recorder, int(state["phase"]), int(state["epoch"]))


def _identity(trial: TrialConfig) -> str:
    return sha256(json.dumps(trial.to_dict(), sort_keys=True).encode()).hexdigest()


def _n_probe_samples(trial: TrialConfig, arrays: DataArrays) -> int:
    return trial.training.probe_samples if arrays.n_classes is not None else 0


def _batches_of(training: PointTraining, sweep: SweepConfig) -> Hashable:
    """What points have in common that can train together: their batches, and the epoch from which they go on."""
    alike = batches_of(sweep, training.trial)
    return training.recorder.folder.point_id if alike is None else (alike, training.first_phase, training.epoch)


def _train(trainings: Sequence[PointTraining], surroundings: TrialContext, reports: Reports) -> None:
    """Run the phases that are left of points which take the same batches, and leave nothing of them in memory."""
    try:
        _run_phases(trainings, surroundings, reports)
        return
    except Exception as error:  # Not of a single point; those that have ended are not touched.
        for training in trainings:
            if not training.has_ended:
                training.recorder.fail(error)
        reports.send()
    finally:
        for training in trainings:
            training.forget_errors()
    _free_memory()  # out of the handler, in which the error holds what it was raised among


def _run_phases(trainings: Sequence[PointTraining], surroundings: TrialContext, reports: Reports) -> None:
    layers = LayerStore(surroundings.folder.layers)
    for index in range(trainings[0].first_phase, len(trainings[0].phases)):
        left = [training for training in trainings if not training.has_ended]
        if left:
            pretrain(left, index, surroundings.sweep, layers, fit=partial(_fit, index, surroundings, reports))
            reports.send()


def _fit(index: int, surroundings: TrialContext, reports: Reports, trainings: Sequence[PointTraining]) -> None:
    """Run one phase. Lightning's own logger, progress bar and summary are off: the driver records what happens."""
    phases = [training.phases[index] for training in trainings]
    recorders = [training.recorder for training in trainings]
    first, phase = trainings[0], phases[0]
    for training in trainings:
        training.start_phase(index)
    trainer = lightning.Trainer(
        accelerator=surroundings.accelerator,
        devices=1,
        max_epochs=phase.epochs,
        check_val_every_n_epoch=phase.validate_every,
        logger=False,
        enable_checkpointing=True,  # which allows the recorder, and with it adds no callback of its own
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[PackRecorder(recorders, reports, halving(surroundings.sweep))],
        plugins=[PointCheckpoints([recorder.folder.checkpoint for recorder in recorders])],
    )
    device = trainer.strategy.root_device
    seed = draws_seed(surroundings.sweep, first.trial)
    data = surroundings.data
    data.batch_size, data.seed, data.passes = phase.batch_size, seed, phase.passes
    stacks = _stacks(phase, surroundings)
    module = Autoencoder([phase.member for phase in phases], seed=seed, phase=index, stacks=stacks)
    served: lightning.LightningDataModule = data
    if phase.inputs is not None:
        module.to(device)
        served = SideBySide([data.mapped(phase.inputs, phase.batch_size, device) for phase in phases if phase.inputs])
    try:
        trainer.fit(
            module,
            datamodule=served,
            ckpt_path=first.recorder.folder.checkpoint.name if first.goes_on_in(index) else None,
            weights_only=True,
        )
    finally:
        data.trainer = None
        _take_apart(trainer)
    reports.send()  # what follows may wait for a layer that another process trains
    for phase in phases:
        if phase.finish is not None:
            phase.finish()


def _take_apart(trainer: lightning.Trainer) -> None:
    """Cut the circles that Lightning ties: in them networks, optimizers and data stay until the collector comes by."""
    loop = trainer.fit_loop
    for part in (loop._combined_loader, loop.epoch_loop, trainer):
        if part is not None:
            vars(part).clear()


def _stacks(phase: Phase, surroundings: TrialContext) -> bool:
    """Whether a pack trains as one network: on a CPU, which gives the same numbers bit for bit, only where asked to."""
    on_gpu = surroundings.accelerator == "gpu"
    if not on_gpu and surroundings.sweep.execution != "packed":
        return False
    return stacking_pays(phase.batch_size * surroundings.arrays.n_features, on_gpu=on_gpu)


def _free_memory() -> None:
    """Give back what a failed training held: the next one may run in this process."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used
