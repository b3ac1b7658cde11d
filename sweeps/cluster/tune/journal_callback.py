"""Tune's callback on the driver: it records in the journal what the trials report."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from sweeps.cluster.tune.sweep_run import SweepRun
from sweeps.config import TrialConfig
from sweeps.config.search_space import Point
from sweeps.models.diagnosis.findings import FindingName
from sweeps.search.stopping import LOST_PROCESS, STOPPED_BY, STOPPED_EARLY
from sweeps.tracking.best_so_far import BestSoFar
from sweeps.tracking.device_time import DEVICE_HOURS, DeviceTime
from sweeps.tracking.followed_point import FollowedPoint, follow
from sweeps.tracking.journal.records import FigureRecord, PointEnd, PointRecord, PointState
from sweeps.tracking.mlflow.detailed_figures import record_detailed_figures
from sweeps.tracking.mlflow.run_metadata import (
    EPOCHS_TAG,
    NUMBER_PARAM,
    NUMBER_TAG,
    PACK_TAG,
    environment_tags,
    flatten,
)
from sweeps.tracking.submission import trial_tags
from sweeps.tracking.sweep_end import record_best_epoch
from sweeps.tracking.trial_names import full_label, run_name
from sweeps.trial.events import EpochEnded, ReportedFinding, SystemSampled, from_plain, now_ms


class JournalCallback(tune.Callback):
    """Append each event to the journal, in the order in which Tune delivers the reports."""

    def __init__(self, run: SweepRun, device_time: DeviceTime | None = None) -> None:
        self._run = run
        self._journal = run.journal
        self._config = run.config
        self._progress = run.progress
        self._tags = trial_tags(run.journal.sweep().tags) | environment_tags()
        self._running: dict[str, FollowedPoint] = {}
        self._ended = set(run.resume_state.ended_ids)
        self._best = BestSoFar(run.resume_state, run.config.objectives)
        self._findings: dict[str, tuple[ReportedFinding, ...]] = {}
        self._device_time = device_time or DeviceTime(run.inputs.share.devices)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: the Tuner pickles its callbacks for `Tuner.restore`, which no sweep uses."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that points start, or start again because their process was lost."""
        self._device_time.start(trial.trial_id)
        pack = self._pack_tags(trial)
        for entry in _entries(trial):
            if entry["id"] in self._running:
                self._journal.retry_point(entry["id"], "the process that trained it was lost", now_ms(), pack)
            elif entry["id"] not in self._ended:  # else its process was lost after its last report
                self._start(entry, pack)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record a report; a point that has ended may report its end again."""
        self._record_device_time()
        events, result["events"] = from_plain(result["events"]), []  # Tune keeps the last result of every trial
        for event in events:
            if event.point_id in self._ended:
                continue
            if isinstance(event, SystemSampled):
                self._journal.record_system_metrics(event.point_id, event.metrics, event.time_ms)
                continue
            if event.findings is not None:
                self._findings[event.point_id] = event.findings
            if isinstance(event, EpochEnded):
                self._record_epoch(event)
            else:
                state = PointState.FAILED if event.failed else PointState.FINISHED
                self._end(event.point_id, state, event.reason, event.tags, event.time_ms)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """End the points that have not reported their end: the scheduler stopped them early."""
        for entry in _entries(trial):
            if entry["id"] in self._running:
                tags = {STOPPED_EARLY: self._config.stopping.name}
                self._end(entry["id"], PointState.FINISHED, None, tags, now_ms())
        self._device_time.stop(trial.trial_id)
        _forget_statistics(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Fail the points whose process was lost more often than `resources.retries`, or could not be started."""
        retries = self._config.resources.retries
        reason = f"its process was lost, and resources.retries ({retries}) allows no further start: {_error_of(trial)}"
        for entry in _entries(trial):
            if entry["id"] in self._ended:
                continue
            if entry["id"] not in self._running:
                self._start(entry, self._pack_tags(trial))
            self._end(entry["id"], PointState.FAILED, reason, {STOPPED_BY: LOST_PROCESS}, now_ms())
        self._device_time.stop(trial.trial_id)
        _forget_statistics(trial)

    def end_running(self, reason: str, *, keep_measured: bool) -> None:
        """End the points still running when the sweep ends.

        With `keep_measured` a point that has a value of the objective is FINISHED, as if the scheduler had stopped it.
        """
        for point_id in sorted(self._running):
            if keep_measured and self._running[point_id].best() is not None:
                self._end(point_id, PointState.FINISHED, None, {STOPPED_EARLY: reason}, now_ms())
            else:
                self._end(point_id, PointState.KILLED, reason, {}, now_ms())

    def _pack_tags(self, trial: Trial) -> dict[str, str]:
        """Return the tag that the points of a pack share: the id of the first of them; none without packs."""
        is_packed = self._run.inputs.packing.is_packed
        return {PACK_TAG: min(entry["id"] for entry in _entries(trial))} if is_packed else {}

    def _record_device_time(self) -> None:
        """Record the device time so far, once a minute: it counts even if this process is killed."""
        if self._device_time.is_due:
            self._journal.record_progress(len(self._ended), {DEVICE_HOURS: self._device_time.hours}, now_ms())

    def _start(self, entry: Mapping[str, Any], pack: Mapping[str, str]) -> None:
        """Record that a point starts, or starts again in a resumed sweep."""
        point_id, epochs = entry["id"], []
        record = self._record(point_id, entry["index"], entry["point"], pack)
        if not self._journal.start_point(record):
            self._journal.retry_point(point_id, "the sweep was resumed", now_ms(), pack)
            epochs = self._journal.epochs(point_id)
        self._running[point_id] = follow(self._config.objectives, epochs)
        n_epochs = self._config.epochs_at(entry["point"])
        label = full_label(record.point, self._config.search) or record.run_name
        self._progress.point_started(point_id, label, n_epochs)

    def _record(self, point_id: str, index: int, point: Point, pack: Mapping[str, str]) -> PointRecord:
        trial = self._config.trial_at(point)
        own = {"sweeps.seed": str(trial.training.seed), NUMBER_TAG: str(index)}
        return PointRecord(
            point_id=point_id,
            index=index,
            point=dict(point),
            run_name=run_name(point_id, point, self._config.search),
            start_ms=now_ms(),
            params={NUMBER_PARAM: str(index)} | flatten(trial.to_dict()),
            tags={**self._tags, **own, **pack},
            references=self._levels(trial),
        )

    def _levels(self, trial: TrialConfig) -> dict[str, float]:
        """Return the reference levels of the loss curve."""
        references = self._run.inputs.dataset.references_for(trial.model)
        levels = {"mean predictor": references.mean_mse}
        code_size = trial.model.code_size
        pca = None if code_size is None else references.pca(code_size)
        return levels if pca is None else levels | {f"PCA, {code_size} components": pca}

    def _record_epoch(self, event: EpochEnded) -> None:
        self._progress.worker_ready(event.worker, event.time_ms)
        if event.metrics:
            self._journal.record_epoch(event.point_id, event.epoch, event.metrics, event.time_ms)
        for figure in event.figures:
            record = FigureRecord(figure.name, figure.kind, figure.source)
            epoch = event.epoch if figure.epoch is None else figure.epoch
            self._journal.record_figure(event.point_id, record, event.time_ms, epoch)
        self._running[event.point_id].add(event.epoch, event.metrics, event.time_ms)
        self._progress.epoch_ended(event.point_id, event.epoch, event.metrics, event.time_ms, event.worker)

    def _end(self, point_id: str, state: PointState, reason: str | None, tags: Mapping[str, str], time_ms: int) -> None:
        if self._config.figures.detailed == "all":
            record_detailed_figures(self._journal, self._run.folder.point(point_id), time_ms)
        diagnosis = self._diagnosis(point_id, cut_short=state is not PointState.FINISHED or STOPPED_EARLY in tags)
        point = self._running.pop(point_id)
        best = record_best_epoch(self._journal, point_id, point) if state is PointState.FINISHED else None
        tags = {**tags, EPOCHS_TAG: str(point.n_epochs)}
        self._journal.end_point(point_id, PointEnd(state, reason, tags, diagnosis), time_ms)
        if diagnosis is not None:
            self._journal.record_figure(point_id, FigureRecord("diagnosis.txt", "diagnosis"), time_ms)
        self._ended.add(point_id)
        self._progress.point_ended(point_id, state, reason)
        if state is not PointState.KILLED:  # a resume continues it
            self._best.record(self._journal, best, time_ms)

    def _diagnosis(self, point_id: str, *, cut_short: bool) -> list[dict[str, Any]] | None:
        """Return the last findings that a point reported; None where it was not diagnosed.

        A point that was `cut_short` before its last epoch is not blamed for still improving.
        """
        findings = self._findings.pop(point_id, None)
        if findings is None:
            return None
        return [f.model_dump() for f in findings if not (cut_short and f.name == FindingName.STILL_IMPROVING)]


def _forget_statistics(trial: Trial) -> None:
    """Drop the averages that Tune keeps of every ended trial: 20 KB each that nobody reads."""
    for name in ("metric_analysis", "metric_n_steps"):
        if hasattr(trial.run_metadata, name):
            getattr(trial.run_metadata, name).clear()


def _error_of(trial: Trial) -> str:
    """Return the last line of Tune's error: it says what went wrong, the lines before it say where."""
    lines = str(trial.get_error() or "no reason given").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def _entries(trial: Trial) -> Sequence[dict[str, Any]]:
    entries: Sequence[dict[str, Any]] = trial.config["points"]
    return entries
