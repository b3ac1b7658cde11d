"""A sweep's result: its record, its trials and their ranking, and what it says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeps.config import SweepConfig
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.records import PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.mlflow.links import VIEW_TAG, sweep_links, where_to_look
from sweeps.tracking.mlflow.uri import tracking_uri, without_credentials
from sweeps.tracking.result_html import result_html
from sweeps.tracking.result_text import result_text
from sweeps.tracking.submission import provenance
from sweeps.tracking.ties import Ties, ties_of
from sweeps.tracking.trial_frames import history_frame, trials_frame
from sweeps.tracking.trial_names import label_of

if TYPE_CHECKING:
    import pandas as pd

# Tags of the parent run: seconds from the start of the command until its end, and until all workers were ready.
SECONDS = "sweeps.seconds"
STARTUP_SECONDS = "sweeps.startup_seconds"
# Tags of the parent run: the device hours of all starts, the budget that ended the sweep before its last trial ("" once
# a resume has trained all), and what `sweeps quote` predicted for the sweep.
DEVICE_HOURS_TAG = "sweeps.device_hours"
ENDED_BY = "sweeps.ended_by"
QUOTED_SECONDS = "sweeps.quoted_seconds"
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
        """All settings of the trial, shortly; its run's name may leave some out."""
        return label_of(self.run_name, self.trial, self.point)


@dataclass(frozen=True)
class SweepResult:
    """A sweep by its journal, ended or not; `ranking` holds its finished trials, best first.

    `folder` is where its files lie. With several objectives, `front` holds the Pareto-optimal trials, which come first
    in `ranking`. `leader` is the best running trial, at its best epoch so far. `epochs` holds the last epoch
    of each trial that has one. At a prompt it shows its state and best trial; in a notebook also the leading trials and
    the best trial's filters.
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
    epochs: Mapping[str, int] = field(default_factory=dict)

    @property
    def sweep(self) -> str:
        """Return the sweep's id."""
        return self.record.sweep_id

    @property
    def best(self) -> RankedTrial | None:
        """Return the best finished trial; None if there is none."""
        return self.ranking[0] if self.ranking else None

    @cached_property
    def ties(self) -> Ties | None:
        """Return which trials are a statistical tie with the best; None with several objectives or without a best."""
        return ties_of(self)

    @property
    def finalists(self) -> Sequence[RankedTrial]:
        """Return the trials that get detailed figures: the best, or the first ten of a Pareto front."""
        return self.front[:MAX_FINALISTS] if len(self.config.objectives) > 1 else self.ranking[:1]

    @property
    def seconds(self) -> float | None:
        """Return the seconds from the start of the command to the end of the sweep; None while it runs."""
        return None if self.record.state is SweepState.RUNNING else number_of_tag(self.record.tags.get(SECONDS))

    @property
    def startup_seconds(self) -> float | None:
        """Return the seconds until all workers were ready; None if none was."""
        return number_of_tag(self.record.tags.get(STARTUP_SECONDS))

    @property
    def device_hours(self) -> float | None:
        """Return the device time of all starts, in hours (see `sweeps.tracking.device_time`); None if not recorded."""
        return number_of_tag(self.record.tags.get(DEVICE_HOURS_TAG))

    @property
    def ended_by(self) -> str | None:
        """Return the budget that ended the sweep before its last trial; None if none did, or while it runs."""
        return None if self.record.state is SweepState.RUNNING else self.record.tags.get(ENDED_BY) or None

    @property
    def quoted_seconds(self) -> float | None:
        """Return the time that `sweeps quote` predicted for the sweep on this host; None without a quote."""
        return number_of_tag(self.record.tags.get(QUOTED_SECONDS))

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

    def trials(self) -> "pd.DataFrame":
        """Return a data frame with a row for each trial, indexed by trial id; ranked trials first, best first.

        Columns: `rank`, `tie` (whether it ties with the best, NA if unknown), `state`, a column for each searched
        setting, the metrics at the trial's best epoch, that `epoch`, `epochs` trained so far, `seconds` from the start
        of its training to its end (without the pause before a resume; NaN while it runs), `stopped_by`, `findings` (the
        names of those above a note, gravest first), `reason` of a failure, `run_name` and `run_id` in MLflow. A trial
        without a rank has no metrics (NaN).

        >>> result = sweeps.best("latest")
        >>> result.trials()[["state", "model.hidden_size", "epochs"]].loc["0000", "state"]
        'FINISHED'
        """
        return trials_frame(self)

    def history(self, trial: str | int | None = None) -> "pd.DataFrame":
        """Return a data frame with a row for each epoch of each trial, or of one, indexed by trial and epoch.

        The columns are the metrics measured after the epoch, NaN where one was not measured. They are read now, so that
        those of a running sweep grow. `trial` is an id or a number; UnknownTrial if there is no such trial.

        >>> result = sweeps.best("latest")
        >>> result.history(trial="0").index.names
        FrozenList(['trial', 'epoch'])
        """
        from sweeps.tracking.trial_lookup import select_trial

        chosen = self.points if trial is None else [select_trial(self, trial)]
        return history_frame(self, [point.point_id for point in chosen])

    def __repr__(self) -> str:
        return result_text(self)

    def _repr_html_(self) -> str:
        return result_html(self)

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
            "device_hours": self.device_hours,
            "ended_by": self.ended_by,
            "quoted_seconds": self.quoted_seconds,
            "tracking_uri": self.tracking_uri,
            "experiment": self.record.experiment,
            "undelivered": self.n_undelivered,
            "refused": len(self.refusals),
            **provenance(self.record.tags),
        }

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return the sweep as plain values: its best trial, its `top` trials, and its Pareto front if any."""
        plain = self.overview() | {"best": None if self.best is None else asdict(self.best)}
        plain["ties"] = None if self.ties is None else self.ties.to_dict()
        if top is not None:
            plain["ranking"] = [asdict(trial) for trial in self.ranking[:top]]
        if len(self.config.objectives) > 1:
            plain["front"] = [asdict(trial) for trial in self.front]
        return plain


def number_of_tag(text: str | None) -> float | None:
    """Return the number that a tag holds; None if there is none."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
