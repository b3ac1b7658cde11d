"""What Lightning calls while a pack trains: the recorders of its points, their checkpoints, and one report for all."""

import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins import CheckpointIO

from sweeps.models.training.autoencoder import Autoencoder
from sweeps.models.training.member import Member
from sweeps.search.successive_halving import Halving
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place
from sweeps.trial.events import Event
from sweeps.trial.recorder import Recorder

# The epoch last told of (None: a point failed), the objective so far of each point by its id, and what has happened.
PackReport = Callable[[int | None, Mapping[str, float | list[float]], list[Event]], None]


# A report is a turn of Tune's, for which the training waits: what decides nothing waits for the next one this long.
SECONDS_BETWEEN_REPORTS = 0.5


class Reports:
    """Gathers what the points of a pack tell, for one report of all that has happened."""

    def __init__(self, report: PackReport) -> None:
        self._report = report
        self._sent_at = -math.inf
        self._objectives: dict[str, float | list[float]] = {}
        self._epoch: int | None = None
        self._events: list[Event] = []

    def take(self, point_id: str, epoch: int | None, objective: float | list[float], events: list[Event]) -> None:
        """Keep what a point tells; its objective is told again in every report from now on."""
        self._objectives[point_id] = objective
        self._epoch = epoch
        self._events += events

    @property
    def are_due(self) -> bool:
        """Whether the last report is some time ago."""
        return time.monotonic() - self._sent_at >= SECONDS_BETWEEN_REPORTS

    def send(self) -> None:
        """Report what has been taken since the last time, if anything. Nothing after it is sure to run."""
        events, self._events = self._events, []
        if events:
            self._report(self._epoch, dict(self._objectives), events)
            self._sent_at = time.monotonic()


class PackRecorder(Checkpoint):
    """Lets each point's recorder measure and save its member; what it raises ends that point alone.

    A Checkpoint callback because Lightning calls those last, when the epoch's metrics are complete.
    """

    def __init__(self, recorders: Sequence[Recorder], reports: Reports, halving: Halving | None = None) -> None:
        self.recorders = recorders
        self.reports = reports
        self.halving = halving

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell that training begins."""
        for member, recorder in self._left(pl_module):
            with member.alone():
                recorder.begin(member.objective, trainer.current_epoch, trainer.strategy.root_device)
        self.reports.send()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count the epoch, and forget what the one before measured: not every epoch is validated."""
        for member, recorder in self._left(pl_module):
            member.metrics.clear()
            recorder.start_epoch(trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure what the training has not, save, then report: now, or with an epoch to come."""
        left = self._left(pl_module)
        for member, recorder in left:
            if member.error is None:
                with member.alone():
                    recorder.end_epoch(dict(member.metrics), trainer.strategy.root_device)
        self._halve(left)
        reports = self.reports.are_due or any(member.error or recorder.decides for member, recorder in left)
        if reports:
            self._keep_best(left, trainer.strategy.root_device)
        if any(recorder.must_save for member, recorder in left if member.error is None):
            trainer.save_checkpoint(self.recorders[0].folder.checkpoint.name)
        for member, recorder in left:
            if member.error is not None:
                recorder.fail(member.error)
            else:
                recorder.tell()
                member.is_over = recorder.is_over
        trainer.should_stop = not self._left(pl_module)
        if reports:
            self.reports.send()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning does not know, by the place of each point that goes on or has just been stopped."""
        assert isinstance(pl_module, Autoencoder)
        checkpoint["sweeps"] = {
            index: recorder.state()
            for index, (member, recorder) in enumerate(zip(pl_module.members, self.recorders, strict=True))
            if member.is_in_training and not recorder.has_run_out
        }

    def _keep_best(self, left: Sequence[tuple[Member, Recorder]], device: torch.device) -> None:
        for member, recorder in left:
            if member.error is None:
                with member.alone():
                    recorder.keep_best(device)

    def _halve(self, left: Sequence[tuple[Member, Recorder]]) -> None:
        """At a rung, end the points that do not go on; those that failed do not count."""
        if self.halving is None:
            return
        at_rung = {recorder.folder.point_id: (member, recorder) for member, recorder in left if member.error is None}
        told = {point_id: value for point_id, (_, of) in at_rung.items() if (value := of.told_at_rung) is not None}
        for point_id in self.halving.leaving(told):
            member, recorder = at_rung[point_id]
            with member.alone():
                recorder.stop_early(self.halving.rule)

    def _left(self, pl_module: lightning.LightningModule) -> list[tuple[Member, Recorder]]:
        """The points that have not ended, or whose failure has yet to be told."""
        assert isinstance(pl_module, Autoencoder)
        pairs = zip(pl_module.members, self.recorders, strict=True)
        return [(member, recorder) for member, recorder in pairs if not (recorder.is_over or recorder.has_failed)]


class PointCheckpoints(CheckpointIO):
    """Keeps Lightning's checkpoint of a pack as one file a point, at `paths`: each can go on alone, or in other packs.

    What `PackRecorder` adds says whose files are written. A file is what a pack of this one point would have written.
    """

    def __init__(self, paths: Sequence[Place]) -> None:
        self._paths = paths

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write each file; on a full disk the one before stays."""
        for index, state in checkpoint["sweeps"].items():
            # By way of memory: writing to a path itself, torch says RuntimeError where the disk is full.
            content = io.BytesIO()
            torch.save(_of_member(checkpoint, index) | {"sweeps": state}, content)
            atomic_write.write(self._paths[index], content.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The files as one checkpoint; they must be of one epoch."""
        parts = [torch.load(io.BytesIO(own.read_bytes()), map_location="cpu", weights_only=True) for own in self._paths]
        tensors = [
            (f"members.{index}.{name.removeprefix('members.0.')}", tensor)
            for index, part in enumerate(parts)
            for name, tensor in part["state_dict"].items()
        ]
        states = [part["optimizer_states"][0] for part in parts]
        return {**parts[0], "state_dict": dict(tensors), "optimizer_states": states}

    def remove_checkpoint(self, path: Any) -> None:
        """Nothing: the driver removes them when their points have ended."""


def _of_member(checkpoint: Mapping[str, Any], index: int) -> dict[str, Any]:
    prefix = f"members.{index}."
    tensors = checkpoint["state_dict"].items()
    own = {f"members.0.{name.removeprefix(prefix)}": value for name, value in tensors if name.startswith(prefix)}
    return {**checkpoint, "state_dict": own, "optimizer_states": [checkpoint["optimizer_states"][index]]}
