"""The network of a point's best epoch so far: kept in memory, written to disk, and drawn from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sweeps.config import ObjectiveConfig
from sweeps.models import saved_network
from sweeps.models.config import ModelConfig
from sweeps.models.networks.network import Network
from sweeps.search.ranking import best_epoch
from sweeps.storage import atomic_write, earlier_names, sample_values_file
from sweeps.storage.layout import PointFolder
from sweeps.trial.epoch_schedule import EpochSchedule
from sweeps.trial.events import FigureSaved
from sweeps.trial.measurements import Measurements
from sweeps.trial.snapshots import Snapshots


class BestNetwork:
    """Keep `network` as it was at its best epoch, by the rule that ranks points.

    `objective` is the value at the best epoch so far, NaN before there is one.
    """

    def __init__(
        self, model: ModelConfig, network: Network, objectives: Sequence[ObjectiveConfig], folder: PointFolder
    ) -> None:
        self.objective: float | list[float] = math.nan
        self._model = model
        self._network = network
        self.objectives = objectives
        self._folder = folder
        # The best epoch with its metrics, its network until that is written, and the epochs last drawn from.
        self._best: tuple[int, dict[str, float]] | None = None
        self._unwritten: bytes | None = None
        self._epoch_drawn: int | None = None
        self._epoch_in_snapshot: int | None = None
        self._epoch_of_values: int | None = None
        self._has_removed_earlier = False

    @property
    def has_objective(self) -> bool:
        """Whether an epoch has had a value of the objective."""
        return self._best is not None

    def keep_if_best(self, epoch: int, metrics: dict[str, float]) -> None:
        """Keep the network as it is now if this epoch is the best so far."""
        before = [] if self._best is None else [self._best]
        score = best_epoch([*before, (epoch, metrics)], self.objectives)
        if score is None:
            return
        self.objective = list(score.values) if len(score.values) > 1 else score.values[0]
        if score.epoch == epoch:
            self._best = (epoch, metrics)
            self._unwritten = saved_network.dumps(self._model, self._network)

    def write(self, *, must: bool) -> None:
        """Write the best network. On a full disk, retry after a later epoch; with `must`, wait for space."""
        if self._unwritten is None:
            return
        patience = atomic_write.PATIENCE_SECONDS if must else 0.0
        if atomic_write.write(self._folder.best_network, self._unwritten, patience):
            self._unwritten = None
            self._remove_earlier()
        elif must:
            where = self._folder.path
            raise OSError(f"{where} must have space for the best network, and had none for {patience:g} s: free some")

    def save_snapshot(self, snapshots: Snapshots, schedule: EpochSchedule, epoch: int) -> tuple[FigureSaved, ...]:
        """Save a snapshot of the best epoch unless it has one; `epoch` has just ended, and has its own."""
        if self._best is None or self._best[0] in (epoch, self._epoch_in_snapshot) or schedule.keeps(self._best[0]):
            return ()
        self.write(must=False)
        if self._unwritten is not None:
            return ()
        best, _ = self._best
        saved = snapshots.save(best, self._written())
        if saved:
            self._epoch_in_snapshot = best
        return saved

    def save_arrays(self, snapshots: Snapshots, epoch: int, device: torch.device) -> None:
        """Save the arrays of the best epoch's detailed figures, once its network is written; `epoch` has just ended."""
        if self._best is None or self._unwritten is not None or self._best[0] == self._epoch_drawn:
            return
        best, _ = self._best
        if best == epoch:
            is_saved = snapshots.save_best(best, self._network, device)
        else:
            is_saved = snapshots.save_best(best, self._written())
        if is_saved:
            self._epoch_drawn = best

    def save_sample_values(self, measurements: Measurements, epoch: int, device: torch.device) -> None:
        """Save the objective's value of each validation sample at the best epoch, once its network is written.

        `epoch` has just ended. On a full disk there is no file; one of several objectives has none either.
        """
        is_due = self._best is not None and self._unwritten is None and self._best[0] != self._epoch_of_values
        if not is_due or self._best is None or len(self.objectives) > 1:
            return
        self._epoch_of_values, metric = self._best[0], self.objectives[0].metric
        network = self._network if self._best[0] == epoch else self._written()
        if isinstance(network, nn.Module):
            network.to(device)
        values = measurements.sample_values(metric, network, device)
        if values is not None:
            content = sample_values_file.dumps(metric, self._best[0], values)
            atomic_write.write(sample_values_file.place(self._folder), content)

    def _written(self) -> Network:
        """Return the best network as it was written."""
        path = self._folder.best_network
        return saved_network.read(earlier_names.stored(path) or path, self._model.name).network

    def _remove_earlier(self) -> None:
        """Remove the best network of an earlier start with version 0.1, once there is one of this version."""
        if not self._has_removed_earlier:
            earlier_names.earlier_name(self._folder.best_network).unlink(missing_ok=True)
            self._has_removed_earlier = True

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as plain values."""
        return {
            "best": self._best,
            "unwritten_best": self._unwritten,
            "told": self.objective,
            "best_in_snapshot": self._epoch_in_snapshot,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self._best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self._unwritten = state["unwritten_best"]
        self.objective = state["told"]
        self._epoch_in_snapshot = state.get("best_in_snapshot")  # absent from checkpoints of earlier versions
