"""What a pack takes on a worker: a few steps of it, trained as a sweep would train it, in a folder of its own."""

import math
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.search_space import Point
from sweeps.models.build import build_network
from sweeps.models.image_shape import SampleShape
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.epoch_schedule import EpochSchedule
from sweeps.trial.events import EpochEnded, Event, PointEnded
from sweeps.trial.pack import train_points
from sweeps.trial.phase_timer import MIN_STEPS, PhaseTimer, PhaseTimes

# The steps of an epoch should last this long, shared by the points of a pack.
SECONDS_OF_STEPS = 0.6
# Epochs 2 and 4 leave a snapshot, 3 does not; with validate_every, epoch 5 is not validated and 6 is.
_EPOCHS_IF_ALL_VALIDATED, _EPOCHS = 4, 7
# Where validation and saving take longer than this, two epochs must do: a quote takes seconds.
_SLOW_SECONDS, _EPOCHS_IF_SLOW = 1.5, 2


@dataclass(frozen=True)
class MeasuredPack:
    """A few steps of a pack: its fits, and what its points left.

    `started` and `ready` are when the worker began and when it could train, in seconds since 1970. `disk_bytes` is what
    a point leaves in its folder after all its epochs, `n_figures` how many figures of epochs it requests. `peak_bytes`
    is the largest memory of the worker so far, `gpu_bytes` that on its GPU.
    """

    points: Sequence[Point]
    phases: Sequence[PhaseTimes]
    epochs: Sequence[int]
    started: float
    ready: float
    disk_bytes: float
    n_figures: float
    peak_bytes: int
    gpu_bytes: int
    failures: Sequence[str]


def measure_pack(points: Mapping[str, Point], context: TrialContext, started: float) -> MeasuredPack:
    """Train a few steps of a pack twice: once to see how long a step takes, then as many as take half a second."""
    first = PhaseTimer()
    rehearsed = _train(points, context, first, {"training.epochs": 1, "training.validate_every": 1}, 1)
    per_step = {p.index: p.epochs[-1].step_seconds / max(1, p.epochs[-1].n_steps) for p in first.phases if p.epochs}
    n_steps = {index: max(MIN_STEPS, math.ceil(SECONDS_OF_STEPS / max(s, 1e-5))) for index, s in per_step.items()}
    timer = PhaseTimer(n_steps)
    trial = context.sweep.trial_at(next(iter(points.values())))
    every = min(2, trial.training.validate_every)
    is_slow = any(epoch.other_seconds > _SLOW_SECONDS for phase in first.phases for epoch in phase.epochs)
    enough = _EPOCHS_IF_SLOW if is_slow else _EPOCHS if every > 1 else _EPOCHS_IF_ALL_VALIDATED
    n_epochs = min(trial.training.epochs, enough)
    measured = _train(points, context, timer, {"training.epochs": n_epochs, "training.validate_every": every}, 2)
    trials = [context.sweep.trial_at(point) for point in points.values()]
    return MeasuredPack(
        points=list(points.values()),
        phases=timer.phases,
        epochs=[trial.training.epochs for trial in trials],
        started=started,
        ready=rehearsed.ready,
        disk_bytes=measured.disk_bytes(trials, context.sweep),
        n_figures=measured.n_figures(trials, context.sweep),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        gpu_bytes=torch.cuda.max_memory_allocated() if context.accelerator == "gpu" else 0,
        failures=measured.failures,
    )


def parameter_counts(points: Sequence[Point], context: TrialContext) -> list[int]:
    """Return how many parameters the network at each point has: what decides how long a step takes."""
    shape, counts = SampleShape(context.arrays.n_features, context.arrays.image_shape), []
    for point in points:
        model = context.sweep.trial_at(point).model
        network = build_network(
            model, input_size=shape, n_classes=context.arrays.n_classes, seed=0, statistics=context.statistics
        )
        counts.append(sum(parameter.numel() for parameter in network.parameters()))
    return counts


@dataclass
class _Trained:
    """What the points of a short training reported and wrote."""

    n_points: int
    n_epochs: int
    ready: float = 0.0
    n_reported_figures: int = 0
    snapshot_bytes: float = 0.0
    other_bytes: float = 0.0
    failures: tuple[str, ...] = ()

    def disk_bytes(self, trials: Sequence[TrialConfig], sweep: SweepConfig) -> float:
        """Return the bytes of one point after its real epochs: one snapshot for each epoch that keeps one."""
        n_kept = _mean([_n_kept(trial, sweep) for trial in trials])
        return self.other_bytes / self.n_points + self.snapshot_bytes * n_kept

    def n_figures(self, trials: Sequence[TrialConfig], sweep: SweepConfig) -> float:
        """Return the figures of one point after its real epochs."""
        n_short = sum(EpochSchedule(self.n_epochs).keeps(epoch) for epoch in range(1, self.n_epochs + 1)) + 1
        per_kept = self.n_reported_figures / self.n_points / n_short
        return per_kept * _mean([_n_kept(trial, sweep) for trial in trials])


def _train(
    points: Mapping[str, Point], context: TrialContext, timer: PhaseTimer, settings: dict[str, Any], n_pretraining: int
) -> _Trained:
    """Train the points for a few epochs, to the end of each, in a temporary folder."""
    sweep = SweepConfig.restore(context.sweep.to_dict() | {"stopping": {"name": "none"}})
    short = {}
    for name, point in points.items():
        trial = context.sweep.trial_at(point)
        pretraining = {"model.pretraining.epochs": n_pretraining} if trial.n_pretraining_epochs else {}
        short[name] = point | settings | {"training.patience": None} | pretraining
    n_epochs = sweep.trial_at(next(iter(short.values()))).n_epochs
    trained = _Trained(len(points), n_epochs)

    def report(_epoch: int | None, _objectives: Mapping[str, Any], events: list[Event]) -> None:
        trained.ready = trained.ready or time.time()
        for event in events:
            if isinstance(event, EpochEnded):
                trained.n_reported_figures += len(event.figures)
            elif isinstance(event, PointEnded) and event.failed:
                trained.failures = (*trained.failures, str(event.reason))

    with tempfile.TemporaryDirectory(prefix="sweeps-quote-") as folder:
        train_points(short, replace(context, sweep=sweep, folder=SweepFolder(Path(folder)), timer=timer), report)
        timer.end()
        files = [path for path in (Path(folder) / "points").rglob("*") if path.is_file()]
        snapshots = [path.stat().st_size for path in files if path.name.startswith("snapshot-")]
        trained.snapshot_bytes = _mean(snapshots)
        trained.other_bytes = sum(path.stat().st_size for path in files) - sum(snapshots)
    return trained


def _n_kept(trial: TrialConfig, sweep: SweepConfig) -> int:
    """Return how many snapshots a trial leaves: that before training, and those of its schedule."""
    rungs = frozenset(sweep.stopping.rung_epochs(trial))
    schedule = EpochSchedule(trial.n_epochs, rungs, trial.n_pretraining_epochs)
    return 1 + sum(schedule.keeps(epoch) for epoch in range(1, trial.n_epochs + 1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
