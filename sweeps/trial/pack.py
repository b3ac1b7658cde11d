"""A pack of points, trained on a worker: the loop over their phases, read top to bottom."""

import sweeps.trial.lightning_import  # noqa: F401, I001  # before Lightning
import gc
import logging
import math
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from platform import node

import pytorch_lightning as lightning
import torch

from sweeps.config.search_space import Point
from sweeps.datamodules.side_by_side import SideBySide
from sweeps.models.build import Phase
from sweeps.models.training.autoencoder import Autoencoder
from sweeps.models.training.learners import stacking_pays
from sweeps.search.packing import batches_of, draws_seed
from sweeps.search.successive_halving import halving
from sweeps.storage.atomic_write import PATIENCE_SECONDS
from sweeps.storage.object_store import patience
from sweeps.trial.context import TrialContext
from sweeps.errors import reason_of
from sweeps.trial.events import HOST_TAG, PointEnded
from sweeps.trial.layer_cache import LayerCache, LayerStore
from sweeps.trial.lightning_callbacks import PackCallback, PointCheckpoints
from sweeps.trial.point import PointTraining, prepare_point
from sweeps.trial.reports import PackReport, Reports

_POLL_SECONDS = 0.2


def train_points(points: Mapping[str, Point], context: TrialContext, report: PackReport) -> None:
    """Train points, by id, to their ends; resume those with a checkpoint; report every epoch.

    Points that take the same batches train together. A point that raises or diverges is reported as failed, and the
    others continue. An unreachable object store is retried for as long as a full disk.
    """
    reports = Reports(report)
    with patience(PATIENCE_SECONDS):
        packs = _prepare_packs(points, context, reports)
        reports.send()
        for trainings in packs:
            has_failed = False
            try:
                _train_phases(trainings, context, reports)
            except Exception as error:  # not an error of a single point: it fails all that have not ended
                _fail(trainings, error, reports)
                has_failed = True
            finally:
                for training in trainings:
                    training.forget_errors()
            if has_failed:  # after the handler: inside it, the error keeps alive the frames that raised it
                _free_memory()


def _prepare_packs(points: Mapping[str, Point], context: TrialContext, reports: Reports) -> list[list[PointTraining]]:
    """Prepare points, and group those that can train together: same batches, same epoch to resume from."""
    packs: dict[Hashable, list[PointTraining]] = defaultdict(list)
    for point_id, point in points.items():
        try:
            training = prepare_point(point_id, point, context, reports)
        except Exception as error:  # Whatever a point raises is that point's result, and only that point's.
            logging.getLogger(__name__).exception("Trial %s failed", point_id)
            ended = PointEnded(point_id=point_id, failed=True, reason=reason_of(error), tags={HOST_TAG: node()})
            reports.add(point_id, None, math.nan, [ended])
            continue
        if training is not None:
            batches = batches_of(context.sweep, training.trial)
            packs[point_id if batches is None else (batches, training.first_phase, training.epoch)].append(training)
    return list(packs.values())


def _fail(trainings: Sequence[PointTraining], error: Exception, reports: Reports) -> None:
    """Fail the points that have not ended."""
    for training in trainings:
        if not training.has_ended:
            training.recorder.fail(error)
    reports.send()


def _train_phases(trainings: Sequence[PointTraining], context: TrialContext, reports: Reports) -> None:
    """Train the phases that remain. A pretrained layer that several points share is trained once, by one of them."""
    layers = LayerCache(LayerStore(context.folder.layers), context.sweep)
    for index in range(trainings[0].first_phase, len(trainings[0].phases)):
        waiting = [training for training in trainings if not training.has_ended]
        while waiting:
            with layers.claim(waiting, index) as to_train:
                if to_train:
                    _fit_phase(index, to_train, context, reports)
            waiting = layers.adopt([training for training in waiting if training not in to_train], index)
            if waiting and not to_train:
                time.sleep(_POLL_SECONDS)  # another process trains the layer
        reports.send()


def _fit_phase(index: int, trainings: Sequence[PointTraining], context: TrialContext, reports: Reports) -> None:
    """Fit one phase of points that train together."""
    phases = [training.phases[index] for training in trainings]
    for training in trainings:
        training.start_phase(index)
    if context.timer is not None:
        context.timer.begin(index, len(trainings))
    trainer = _trainer(phases[0], trainings, context, reports)
    module, data = _module_and_data(index, trainings, context, trainer.strategy.root_device)
    if context.timer is not None:
        data = context.timer.limited(data)
    checkpoint = trainings[0].recorder.folder.checkpoint.name if trainings[0].resumes_in(index) else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    finally:
        context.data.trainer = None
        _break_reference_cycles(trainer)
    reports.send()  # the next phase may wait for a layer that another process trains
    for phase in phases:
        if phase.finish is not None:
            phase.finish()


def _trainer(
    phase: Phase, trainings: Sequence[PointTraining], context: TrialContext, reports: Reports
) -> lightning.Trainer:
    """Return a trainer without Lightning's own logger, progress bar and summary: the driver records what happens."""
    recorders = [training.recorder for training in trainings]
    return lightning.Trainer(
        accelerator=context.accelerator,
        devices=1,
        max_epochs=phase.epochs,
        check_val_every_n_epoch=phase.validate_every,
        logger=False,
        enable_checkpointing=True,  # allows PackCallback, which is a Checkpoint; with it Lightning adds none of its own
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[
            *([] if context.timer is None else [context.timer]),
            PackCallback(recorders, reports, halving(context.sweep)),
        ],
        plugins=[PointCheckpoints([recorder.folder for recorder in recorders])],
    )


def _module_and_data(
    index: int, trainings: Sequence[PointTraining], context: TrialContext, device: torch.device
) -> tuple[Autoencoder, lightning.LightningDataModule]:
    """Return the module that trains a phase, and what serves its batches: pixels, or the codes of the layer below."""
    phases = [training.phases[index] for training in trainings]
    phase, data = phases[0], context.data
    seed = draws_seed(context.sweep, trainings[0].trial)
    data.batch_size, data.seed, data.passes = phase.batch_size, seed, phase.passes
    module = Autoencoder([phase.member for phase in phases], seed=seed, phase=index, stacks=_is_stacked(phase, context))
    if phase.inputs is None:
        return module, data
    module.to(device)
    return module, SideBySide([data.mapped(phase.inputs, phase.batch_size, device) for phase in phases if phase.inputs])


def _is_stacked(phase: Phase, context: TrialContext) -> bool:
    """Return whether a pack trains as one stacked network. On a CPU it changes the last bits, so only on request."""
    on_gpu = context.accelerator == "gpu"
    if not on_gpu and context.sweep.execution != "packed":
        return False
    return stacking_pays(phase.batch_size * context.arrays.n_features, on_gpu=on_gpu)


def _break_reference_cycles(trainer: lightning.Trainer) -> None:
    """Free networks, optimizers and data now: Lightning's cycles would keep them until a garbage collection."""
    loop = trainer.fit_loop
    for part in (loop._combined_loader, loop.epoch_loop, trainer):
        if part is not None:
            vars(part).clear()


def _free_memory() -> None:
    """Free the memory of a failed training: the next one may run in this process."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used
