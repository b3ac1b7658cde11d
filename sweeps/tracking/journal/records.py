"""The journal's contents as plain values: a sweep, its points, and the entries that record them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from sweeps.search.stopping import stopped_by
from sweeps.tracking.trial_names import label_of


class PointState(StrEnum):
    """The state of a point; its MLflow run has the status of the same name."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class SweepState(StrEnum):
    """The state of a sweep; MLflow shows INTERRUPTED as KILLED."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class SweepRecord:
    """A sweep: what is known at its start, then how it ended. Times are milliseconds since 1970.

    `config` comes from `SweepConfig.to_dict`, `dataset` from `DataArrays.describe`; `params` and `tags` are those of
    the parent run.
    """

    sweep_id: str
    name: str
    experiment: str
    config: Mapping[str, Any]
    start_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: Mapping[str, Any] | None = None
    description: str = ""

    state: SweepState = SweepState.RUNNING
    end_ms: int | None = None
    experiment_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class PointRecord:
    """A point: what is known when its training starts, then how it ended.

    `references` are the errors of the baselines in the loss curve, mean predictor and PCA. `dataset` is None if the
    point trains on the data of the whole sweep. `reason` says in one line why a point failed or was killed. `diagnosis`
    holds its findings, each with name, evidence and advice; None if the point was not diagnosed. If an interruption has
    ended it before, `resumed_ms` is when it was resumed last, and `ms_before` how long it ran before that.
    """

    point_id: str
    index: int
    point: Mapping[str, Any]
    run_name: str
    start_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, float] = field(default_factory=dict)
    dataset: Mapping[str, Any] | None = None

    state: PointState = PointState.RUNNING
    reason: str | None = None
    end_ms: int | None = None
    n_retries: int = 0
    diagnosis: Sequence[Mapping[str, Any]] | None = None
    run_id: str | None = None
    resumed_ms: int | None = None
    ms_before: int = 0

    @property
    def ms(self) -> int | None:
        """Return how long the point ran, without the pauses before it was resumed; None while it runs."""
        began = self.start_ms if self.resumed_ms is None else self.resumed_ms
        return None if self.end_ms is None else self.ms_before + self.end_ms - began

    @property
    def seconds(self) -> float | None:
        """Return the same in seconds."""
        return None if self.ms is None else self.ms / 1000

    @property
    def label(self) -> str:
        """All settings of the point, shortly; its run's name may leave some out."""
        return label_of(self.run_name, self.point_id, self.point)

    @property
    def stopped_by(self) -> str | None:
        """What ended the training, as `sweeps.search.stopping` names it; None while it runs."""
        return stopped_by(self.state, self.tags)


# Recorded by later entries, not by the start entry.
STARTED_LATER = (
    "state",
    "reason",
    "end_ms",
    "n_retries",
    "diagnosis",
    "experiment_id",
    "run_id",
    "resumed_ms",
    "ms_before",
)


def start_body(record: SweepRecord | PointRecord) -> dict[str, Any]:
    """Return the body of a start entry: the fields that are known at the start."""
    return {key: value for key, value in asdict(record).items() if key not in STARTED_LATER}


@dataclass(frozen=True)
class PointEnd:
    """How a point ended; `tags` are added to those of its start.

    `diagnosis` holds the findings, most severe first: the tag `sweeps.diagnosis` of the point's run names them, and a
    figure of the kind "diagnosis" shows them in full. None if the point was not diagnosed.
    """

    state: PointState
    reason: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    diagnosis: Sequence[Mapping[str, Any]] | None = None


def end_body(end: PointEnd) -> dict[str, Any]:
    """Return the body of a point's end entry."""
    body: dict[str, Any] = {"state": end.state, "reason": end.reason, "tags": dict(end.tags)}
    if end.diagnosis is not None:
        body["diagnosis"] = [dict(finding) for finding in end.diagnosis]
    return body


@dataclass(frozen=True)
class BestEpoch:
    """The epoch by which a finished point is ranked, with all its metrics.

    `last_epochs` holds the objectives whose last value is another one, each with the epoch of that value: MLflow sorts
    runs by the last value of a metric.
    """

    epoch: int
    metrics: Mapping[str, float]
    last_epochs: Mapping[str, int]


@dataclass(frozen=True)
class FigureRecord:
    """A figure to draw: `name` is its artifact path (`loss_curve.png`), `kind` a kind of `figures.draw`.

    Delivery puts a figure of a snapshot (`filters/epoch-00004.png`) into MLflow's image grid, by its kind and epoch.
    `source` is the file to draw it from, relative to the sweep's folder; "" if it is drawn from the journal itself.
    """

    name: str
    kind: str
    source: str = ""


class EntryKind(StrEnum):
    """The kinds of entries. `epoch` counts ended points in a PROGRESS entry, and samples in a SYSTEM_METRICS entry."""

    SWEEP_START = "sweep_start"
    POINT_START = "point_start"
    EPOCH = "epoch"
    FIGURE = "figure"
    POINT_RETRY = "point_retry"
    POINT_END = "point_end"
    BEST_EPOCH = "best_epoch"
    RANK = "rank"
    PROGRESS = "progress"
    SYSTEM_METRICS = "system_metrics"
    SWEEP_RESUME = "sweep_resume"
    SWEEP_END = "sweep_end"


@dataclass(frozen=True)
class Entry:
    """One recorded event; entries never change. `point_id` is None for an entry of the whole sweep."""

    entry_id: int
    kind: EntryKind
    point_id: str | None
    epoch: int | None
    time_ms: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Delivered:
    """What MLflow has of a journal: at least the entries through an id, and run ids by point ("": the parent)."""

    store: str
    experiment_id: str | None
    through: int
    runs: Mapping[str, str]


def apply_to_sweep(record: SweepRecord, entry: Entry) -> SweepRecord:
    """Return the sweep after a resume entry, which may carry a new config, or an end entry."""
    if entry.kind == EntryKind.SWEEP_RESUME:
        config = entry.body["config"] or record.config
        tags = {**record.tags, **entry.body["tags"]}
        changed = replace(record, config=config, description=config.get("description", ""), tags=tags)
        return replace(changed, state=SweepState.RUNNING, end_ms=None)
    return replace(
        record,
        state=SweepState(entry.body["state"]),
        description=entry.body["description"],
        tags={**record.tags, **entry.body["tags"]},
        end_ms=entry.time_ms,
    )


def apply_to_point(record: PointRecord, entry: Entry) -> PointRecord:
    """Return the point after a retry or end entry."""
    if entry.kind == EntryKind.POINT_RETRY:
        n_retries = record.n_retries + 1
        record = replace(record, tags={**record.tags, **entry.body.get("tags", {})})
        if record.ms is not None:  # else its process was lost while the sweep ran
            record = replace(record, resumed_ms=entry.time_ms, ms_before=record.ms)
        return replace(record, state=PointState.RUNNING, reason=None, end_ms=None, diagnosis=None, n_retries=n_retries)
    return replace(
        record,
        state=PointState(entry.body["state"]),
        reason=entry.body["reason"],
        tags={**record.tags, **entry.body["tags"]},
        diagnosis=entry.body.get("diagnosis"),
        end_ms=entry.time_ms,
    )
