"""The progress of a sweep that another process runs, read from its journal."""

import time
from collections.abc import Mapping

from sweeps.config import SweepConfig
from sweeps.tracking.delivery_progress import DeliveryProgress
from sweeps.tracking.journal.entry_parsing import parse_entry
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import Entry, EntryKind, PointRecord, PointState
from sweeps.tracking.mlflow.run_metadata import PACK_TAG
from sweeps.tracking.progress import Progress, Stage
from sweeps.tracking.results import restored_config
from sweeps.tracking.resume_state import seconds_left
from sweeps.tracking.trial_names import full_label


class JournalProgress:
    """The counters of a sweep, kept up to date with the new entries of its journal, which is only read."""

    def __init__(self, journal: Journal) -> None:
        record = journal.sweep()
        self._config = restored_config(record, journal)
        self._next_id = 1
        self._packs: dict[str, str] = {}
        self.delivery: DeliveryProgress | None = None
        self.progress = Progress.of(self._config, record.sweep_id)
        self.progress.enter(Stage.TRAINING)
        self.progress.delivery = lambda: self.delivery

    def update(self, journal: Journal) -> None:
        """Count what the journal has recorded since the last call."""
        entries = [parse_entry(row, journal.path) for row in journal.rows(self._next_id)]
        for entry in entries:
            self._next_id = entry.entry_id + 1
            self._apply(entry)
        n_waiting, n_refused = journal.delivery.n_undelivered(), journal.delivery.n_refused()
        n_delivered = max(0, journal.last_id() - n_waiting - n_refused)
        self.delivery = DeliveryProgress(n_delivered, n_waiting, n_refused)
        if entries:
            progress = self.progress
            progress.deadline = time.monotonic() + seconds_left(self._config, journal)
            running = {self._packs.get(point_id, point_id) for point_id in progress.running}
            progress.packs, progress.n_at_once = bool(self._packs), max(progress.n_at_once, len(running))

    def _apply(self, entry: Entry) -> None:
        point_id = entry.point_id
        if entry.kind == EntryKind.SWEEP_RESUME and entry.body["config"]:
            self._config = SweepConfig.restore(entry.body["config"])
            self.progress.n_points = self._config.n_trials
        if point_id is None:
            return
        self._note_pack(point_id, entry.body.get("tags", {}))
        if entry.kind == EntryKind.POINT_START:
            self._start(PointRecord(**entry.body))
        elif point_id not in self.progress.trials:
            return
        elif entry.kind == EntryKind.POINT_RETRY:
            self.progress.point_resumed(point_id, entry.time_ms)
        elif entry.kind == EntryKind.EPOCH:
            worker = self._packs.get(point_id, point_id)
            self.progress.worker_ready(worker, entry.time_ms)
            self.progress.epoch_ended(point_id, entry.epoch or 0, entry.body["metrics"], entry.time_ms, worker)
        elif entry.kind == EntryKind.POINT_END:
            self.progress.point_ended(point_id, PointState(entry.body["state"]), entry.body["reason"])

    def _note_pack(self, point_id: str, tags: Mapping[str, str]) -> None:
        if PACK_TAG in tags:
            self._packs[point_id] = tags[PACK_TAG]

    def _start(self, point: PointRecord) -> None:
        label = full_label(point.point, self._config.search) or point.run_name
        n_epochs = self._config.epochs_at(dict(point.point))
        self.progress.point_started(point.point_id, label, n_epochs, point.start_ms)
