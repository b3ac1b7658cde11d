"""The result of a sweep, read from its journal: the one source of `run`, `status`, `best` and `list`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sweeps.config import SweepConfig
from sweeps.errors import ConfigError
from sweeps.models.diagnosis.findings import with_severities
from sweeps.search.ranking import History, Score, best_epoch, front, rank
from sweeps.storage.layout import SweepFolder
from sweeps.storage.sweep_lock import is_owned
from sweeps.tracking.journal.database import damaged
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord, SweepState, label_of
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.mlflow.links import VIEW_TAG, sweep_links, where_to_look
from sweeps.tracking.mlflow.uri import tracking_uri, without_credentials
from sweeps.tracking.submission import provenance

# Tags of the parent run: seconds from the start of the command until its end, and until all workers were ready.
SECONDS = "sweeps.seconds"
STARTUP_SECONDS = "sweeps.startup_seconds"
EXIT_STATUS = {SweepState.FINISHED: 0, SweepState.FAILED: 1, SweepState.INTERRUPTED: 130}
SOME_TRIALS_FAILED = 3
MAX_FINALISTS = 10


@dataclass(frozen=True)
class RankedTrial:
    """A trial at the epoch by which it is ranked.

    `diagnosis` holds the findings at its last epoch, each with name, severity, evidence, advice and the change that it
    advises; None if not diagnosed. `epochs` is how many it trained so far, pretraining included. `stopped_by` is what
    ended its training, as `sweeps.search.stopping` names it; None while it runs.
    """

    trial: str
    run_id: str | None
    run_name: str
    point: Mapping[str, Any]
    epoch: int
    metrics: Mapping[str, float]
    diagnosis: Sequence[Mapping[str, Any]] | None
    epochs: int
    stopped_by: str | None

    @property
    def label(self) -> str:
        """The run's name without the trial's id."""
        return label_of(self.run_name, self.trial)


@dataclass(frozen=True)
class SweepResult:
    """A sweep by its journal, ended or not; `ranking` holds its finished trials, best first.

    `folder` is where its files lie. With several objectives, `front` holds the Pareto-optimal trials, which come first
    in `ranking`. `leader` is the best running trial, at its best epoch so far.
    """

    folder: SweepFolder
    record: SweepRecord
    config: SweepConfig
    points: Sequence[PointRecord]
    ranking: Sequence[RankedTrial]
    front: Sequence[RankedTrial]
    store: str | None
    n_undelivered: int
    refusals: Sequence[str]
    leader: RankedTrial | None = None

    @property
    def sweep(self) -> str:
        """Return the sweep's id."""
        return self.record.sweep_id

    @property
    def best(self) -> RankedTrial | None:
        """Return the best finished trial; None if there is none."""
        return self.ranking[0] if self.ranking else None

    @property
    def finalists(self) -> Sequence[RankedTrial]:
        """Return the trials that get detailed figures: the best, or the first ten of a Pareto front."""
        return self.front[:MAX_FINALISTS] if len(self.config.objectives) > 1 else self.ranking[:1]

    @property
    def seconds(self) -> float | None:
        """Return the seconds from the start of the command to the end of the sweep; None while it runs."""
        return None if self.record.state is SweepState.RUNNING else _number(self.record.tags.get(SECONDS))

    @property
    def startup_seconds(self) -> float | None:
        """Return the seconds until all workers were ready; None if none was."""
        return _number(self.record.tags.get(STARTUP_SECONDS))

    @property
    def exit_status(self) -> int:
        """Return the exit status of a command that ran the sweep."""
        status = EXIT_STATUS.get(self.record.state, 0)
        return SOME_TRIALS_FAILED if status == 0 and self.count(PointState.FAILED) else status

    @property
    def n_ended(self) -> int:
        """Return how many points have finished or failed; a resume continues killed ones."""
        return self.count(PointState.FINISHED) + self.count(PointState.FAILED)

    @property
    def objective_metrics(self) -> tuple[str, ...]:
        """Return the metrics of the objectives."""
        return tuple(objective.metric for objective in self.config.objectives)

    @property
    def tracking_uri(self) -> str:
        """Return the store of the runs, without credentials: the one delivered to so far, else the current one."""
        return self.store or without_credentials(tracking_uri())

    def links(self, address: str) -> list[str]:
        """Return the pages of the runs on the MLflow server at `address`: their table, and their charts."""
        assert self.record.experiment_id is not None, "MLflow has the experiment"
        view = self.record.tags.get(VIEW_TAG)
        return sweep_links(address, self.record.experiment_id, self.config, self.sweep, view)

    def where_to_look(self) -> str:
        """Return where the runs are shown: pages of the tracking server, or the command for a local store."""
        uri, view = self.tracking_uri, self.record.tags.get(VIEW_TAG)
        if uri.startswith("http") and self.record.experiment_id is None:
            return f"the MLflow server at {uri} has none of the runs yet"
        return where_to_look(uri, self.record.experiment_id, self.config, self.sweep, view)

    def count(self, state: PointState) -> int:
        """Return how many points are in a state."""
        return sum(point.state is state for point in self.points)

    def overview(self) -> dict[str, Any]:
        """Return the sweep as plain values, without its ranking."""
        return {
            "sweep": self.sweep,
            "name": self.record.name,
            "state": str(self.record.state),
            "trials": len(self.points),
            "to_come": max(0, self.config.n_trials - len(self.points)),
            "running": self.count(PointState.RUNNING),
            "failed": self.count(PointState.FAILED),
            "started_ms": self.record.start_ms,
            "seconds": self.seconds,
            "startup_seconds": self.startup_seconds,
            "tracking_uri": self.tracking_uri,
            "experiment": self.record.experiment,
            "undelivered": self.n_undelivered,
            "refused": len(self.refusals),
            **provenance(self.record.tags),
        }

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the sweep as plain values: its best trial, its `top` trials, and its Pareto front if any."""
        plain = self.overview() | {"best": None if self.best is None else asdict(self.best)}
        if top is not None:
            plain["ranking"] = [asdict(trial) for trial in self.ranking[:top]]
        if len(self.config.objectives) > 1:
            plain["front"] = [asdict(trial) for trial in self.front]
        return plain


def load_result(folder: SweepFolder) -> SweepResult:
    """Return the current result of the sweep in a folder; if its process was lost, the sweep is INTERRUPTED."""
    # Before the journal is read: a sweep that ends in between is not lost.
    is_running = is_owned(folder)
    with read_journal(folder) as journal:
        result = read_result(journal, folder)
    return result if is_running or result.record.state is not SweepState.RUNNING else _as_interrupted(result)


def read_result(journal: Journal, folder: SweepFolder, history: Callable[[str], History] | None = None) -> SweepResult:
    """Return the current result of the sweep in `folder`, which the open journal records.

    `history` returns a point's metrics by epoch; by default the journal is read.
    """
    history = history or journal.history
    record = journal.sweep()
    config = restored_config(record, journal)
    points = {point.point_id: point for point in journal.points()}
    counted = [point.point_id for point in points.values() if point.state in (PointState.FINISHED, PointState.RUNNING)]
    histories = {point_id: history(point_id) for point_id in counted}
    scores = {point_id: best_epoch(history, config.objectives) for point_id, history in histories.items()}
    scored, running = _by_whether_finished(scores, points)
    trials = {
        point_id: _ranked_trial(points[point_id], score.epoch, dict(histories[point_id]))
        for point_id, score in (scored | running).items()
    }
    return SweepResult(
        folder=folder,
        record=record,
        config=config,
        points=tuple(points.values()),
        ranking=[trials[point_id] for point_id in rank(scored, config.objectives)],
        front=[trials[point_id] for point_id in front(scored, config.objectives)],
        store=journal.delivery.store(),
        n_undelivered=journal.delivery.n_undelivered(),
        refusals=[reason for _, reason in journal.delivery.refusals()],
        leader=next((trials[point_id] for point_id in rank(running, config.objectives)), None),
    )


def restored_config(record: SweepRecord, journal: Journal) -> SweepConfig:
    """Return the config of a recorded sweep; DamagedJournal if it is none."""
    try:
        return SweepConfig.restore(record.config)
    except ConfigError as error:
        raise damaged(journal.path, f"its config is not valid ({error.issues[0]})") from None


def _by_whether_finished(
    scores: Mapping[str, Score | None], points: Mapping[str, PointRecord]
) -> tuple[dict[str, Score], dict[str, Score]]:
    """Return the scores of finished points and of running points that have one."""
    finished: dict[str, Score] = {}
    running: dict[str, Score] = {}
    for point_id, score in scores.items():
        if score is not None:
            (finished if points[point_id].state is PointState.FINISHED else running)[point_id] = score
    return finished, running


def _as_interrupted(result: SweepResult) -> SweepResult:
    points = [replace(p, state=PointState.KILLED) if p.state is PointState.RUNNING else p for p in result.points]
    return replace(result, record=replace(result.record, state=SweepState.INTERRUPTED), points=points, leader=None)


def _ranked_trial(point: PointRecord, epoch: int, history: Mapping[int, Mapping[str, float]]) -> RankedTrial:
    return RankedTrial(
        trial=point.point_id,
        run_id=point.run_id,
        run_name=point.run_name,
        point=point.point,
        epoch=epoch,
        metrics=history[epoch],
        diagnosis=with_severities(point.diagnosis),
        epochs=max(history),
        stopped_by=point.stopped_by,
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
