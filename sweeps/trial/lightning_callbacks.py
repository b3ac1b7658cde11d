"""What Lightning calls while a pack trains: the callback that records its points, and the plugin that saves them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins import CheckpointIO

from sweeps.models import tensor_file
from sweeps.models.training.autoencoder import Autoencoder
from sweeps.models.training.member import Member
from sweeps.search.successive_halving import Halving
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder
from sweeps.trial.point_checkpoint import read_checkpoint
from sweeps.trial.point_progress import Ending
from sweeps.trial.recorder import Recorder
from sweeps.trial.reports import Reports


class PackCallback(Checkpoint):
    """Let each point's recorder measure and save its member of the pack; an error there ends that point alone.

    It is a Checkpoint callback because Lightning calls those last, when the epoch's metrics are complete.
    """

    def __init__(self, recorders: Sequence[Recorder], reports: Reports, halving: Halving | None = None) -> None:
        self.recorders = recorders
        self.reports = reports
        self.halving = halving

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin each point's training."""
        for member, recorder in self._active(pl_module):
            with member.alone():
                recorder.begin_training(member.objective, trainer.current_epoch, trainer.strategy.root_device)
        self.reports.send()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the epoch without the metrics of the one before: not every epoch is validated."""
        for member, recorder in self._active(pl_module):
            member.metrics.clear()
            recorder.start_epoch(trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure and save each point, then report: now, or with a later epoch."""
        active = self._active(pl_module)
        for member, recorder in active:
            if member.error is None:
                with member.alone():
                    recorder.end_epoch(dict(member.metrics), trainer.strategy.root_device)
        self._halve(active)
        sends_report = self.reports.are_due or any(member.error or recorder.decides for member, recorder in active)
        if sends_report:
            self._keep_best(active, trainer.strategy.root_device)
        if any(recorder.must_save for member, recorder in active if member.error is None):
            trainer.save_checkpoint(self.recorders[0].folder.checkpoint.name)
        for member, recorder in active:
            if member.error is not None:
                recorder.fail(member.error)
            else:
                recorder.report_epoch()
                member.is_over = recorder.progress.is_over
        trainer.should_stop = not self._active(pl_module)
        if sends_report:
            self.reports.send()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add each point's state, by its place in the pack, unless it failed or is complete."""
        assert isinstance(pl_module, Autoencoder)
        checkpoint["sweeps"] = {
            index: recorder.state()
            for index, (member, recorder) in enumerate(zip(pl_module.members, self.recorders, strict=True))
            if member.is_in_training and recorder.progress.ending is not Ending.COMPLETED
        }

    def _keep_best(self, active: Sequence[tuple[Member, Recorder]], device: torch.device) -> None:
        for member, recorder in active:
            if member.error is None:
                with member.alone():
                    recorder.keep_best(device)

    def _halve(self, active: Sequence[tuple[Member, Recorder]]) -> None:
        """At a rung, stop the points that fall behind; failed points do not count."""
        if self.halving is None:
            return
        healthy = {recorder.folder.point_id: (member, recorder) for member, recorder in active if member.error is None}
        at_rung = {
            point_id: objective
            for point_id, (_, recorder) in healthy.items()
            if (objective := recorder.objective_at_rung) is not None
        }
        for point_id in self.halving.leaving(at_rung):
            member, recorder = healthy[point_id]
            with member.alone():
                recorder.stop_early(self.halving.rule)

    def _active(self, pl_module: lightning.LightningModule) -> list[tuple[Member, Recorder]]:
        """Return the points that have not ended; one whose failure is not yet reported counts as active."""
        assert isinstance(pl_module, Autoencoder)
        pairs = zip(pl_module.members, self.recorders, strict=True)
        return [(member, recorder) for member, recorder in pairs if recorder.progress.ending is None]


class PointCheckpoints(CheckpointIO):
    """Keep Lightning's checkpoint of a pack as one file a point, so that a point can resume in any pack.

    A file is what a pack of that point alone would have written. `PackCallback` says which files are written.
    """

    def __init__(self, folders: Sequence[PointFolder]) -> None:
        self._folders = folders

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write each point's file; on a full disk the one before stays."""
        for index, state in checkpoint["sweeps"].items():
            content = tensor_file.dumps(_member_checkpoint(checkpoint, index) | {"sweeps": state})
            atomic_write.write(self._folders[index].checkpoint, content)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Load the files as one checkpoint; all must be of the same epoch."""
        parts = [read_checkpoint(folder) for folder in self._folders]
        tensors = [
            (f"members.{index}.{name.removeprefix('members.0.')}", tensor)
            for index, part in enumerate(parts)
            for name, tensor in part["state_dict"].items()
        ]
        states = [part["optimizer_states"][0] for part in parts]
        return {**parts[0], "state_dict": dict(tensors), "optimizer_states": states}

    def remove_checkpoint(self, path: Any) -> None:
        """Remove nothing: the driver removes a point's checkpoint when the point has ended."""


def _member_checkpoint(checkpoint: Mapping[str, Any], index: int) -> dict[str, Any]:
    prefix = f"members.{index}."
    tensors = checkpoint["state_dict"].items()
    own = {f"members.0.{name.removeprefix(prefix)}": value for name, value in tensors if name.startswith(prefix)}
    return {**checkpoint, "state_dict": own, "optimizer_states": [checkpoint["optimizer_states"][index]]}
