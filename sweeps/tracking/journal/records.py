"""What the journal holds, as plain values: a sweep, its points, and the entries in the order in which they came."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from sweeps.tracking.journal.database import EntryRow


class PointState(StrEnum):
    """How a point stands; in MLflow its run has the status of the same name."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class SweepState(StrEnum):
    """How a sweep stands; MLflow shows INTERRUPTED as KILLED, which is its word for it."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class SweepRecord:
    """A sweep: what is known at its start, and below it how it ended. Times are milliseconds since 1970.

    `config` is what `SweepConfig.to_dict` gives; `dataset` what `DataArrays.describe` gives; `params` and `tags` are
    what the parent run is to show.
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
    """A point: what is known when its training starts, and below it what became of it.

    `references` are levels to compare the metrics with: the mean predictor and PCA in the loss curve. `dataset` is None
    where the point trains on the data of the whole sweep. `reason` says in one line why a point failed or was killed.
    `diagnosis` holds its faults, each a name, evidence and advice; None where the point was not examined.
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


# What happens later is told by later entries, never by the entry of the start.
_LATER = ("state", "reason", "end_ms", "n_retries", "diagnosis", "experiment_id", "run_id")


def start_body(record: SweepRecord | PointRecord) -> dict[str, Any]:
    """Give the part of a record that is known at its start, as plain values."""
    return {key: value for key, value in asdict(record).items() if key not in _LATER}


class EntryKind(StrEnum):
    """What can happen in a sweep."""

    SWEEP_START = "sweep_start"
    POINT_START = "point_start"
    EPOCH = "epoch"
    FIGURE = "figure"
    POINT_RETRY = "point_retry"
    POINT_END = "point_end"
    SWEEP_RESUME = "sweep_resume"
    SWEEP_END = "sweep_end"


@dataclass(frozen=True)
class Entry:
    """One thing that happened; entries never change. `point_id` is None where it concerns the whole sweep."""

    entry_id: int
    kind: EntryKind
    point_id: str | None
    epoch: int | None
    time_ms: int
    body: Mapping[str, Any]


def parse_entry(row: EntryRow) -> Entry:
    """Give the entry that a row of the database holds."""
    entry_id, kind, point_id, epoch, time_ms, body = row
    return Entry(entry_id, EntryKind(kind), point_id, epoch, time_ms, json.loads(body))


@dataclass(frozen=True)
class Delivered:
    """What MLflow has of a journal: all entries through an id, or more, and the runs of points ("": the parent)."""

    store: str
    experiment_id: str | None
    through: int
    runs: Mapping[str, str]


def apply_to_sweep(record: SweepRecord, entry: Entry) -> SweepRecord:
    """Give the sweep as it stands once it has ended, or goes on, perhaps with another config."""
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
    """Give the point as it stands once it runs again, or has ended."""
    if entry.kind == EntryKind.POINT_RETRY:
        n_retries = record.n_retries + 1
        return replace(record, state=PointState.RUNNING, reason=None, end_ms=None, diagnosis=None, n_retries=n_retries)
    return replace(
        record,
        state=PointState(entry.body["state"]),
        reason=entry.body["reason"],
        tags={**record.tags, **entry.body["tags"]},
        diagnosis=entry.body.get("diagnosis"),
        end_ms=entry.time_ms,
    )
