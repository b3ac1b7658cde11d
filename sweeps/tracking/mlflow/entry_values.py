"""What an entry of the journal adds to its MLflow run: values of metrics, and tags."""

from collections.abc import Callable

from sweeps.search.stopping import STOPPED_BY, stopped_by
from sweeps.tracking.journal.records import Entry, EntryKind
from sweeps.tracking.mlflow.client import Measurement
from sweeps.tracking.mlflow.run_metadata import (
    BEST_EPOCH_TAG,
    BEST_PREFIX,
    DIAGNOSIS_TAG,
    NOTE_TAG,
    RANK_TAG,
    REASON_TAG,
    diagnosis_names,
)

_MEASURED = (EntryKind.EPOCH, EntryKind.PROGRESS, EntryKind.SYSTEM_METRICS)


def measurements_of(entry: Entry) -> list[Measurement]:
    """Return the values of metrics that an entry adds.

    A best epoch adds its metrics under `best/`, and a second last value of each objective that ended at another value:
    MLflow takes the one of the highest step, and of several the latest, for a run's value.
    """
    step = entry.epoch or 0
    if entry.kind in _MEASURED:
        return [Measurement(name, value, entry.time_ms, step) for name, value in entry.body["metrics"].items()]
    if entry.kind != EntryKind.BEST_EPOCH:
        return []
    metrics, last_epochs = entry.body["metrics"], entry.body["last_epochs"]
    best = [Measurement(BEST_PREFIX + name, value, entry.time_ms, step) for name, value in metrics.items()]
    return best + [Measurement(name, metrics[name], entry.time_ms, epoch) for name, epoch in last_epochs.items()]


def tags_of(entry: Entry, complete_links: Callable[[str], str]) -> dict[str, str]:
    """Return the tags that an entry adds; `complete_links` completes the links of a description."""
    match entry.kind:
        case EntryKind.POINT_RETRY:
            cleared = dict.fromkeys((REASON_TAG, NOTE_TAG, STOPPED_BY), "")
            return {"sweeps.retried": entry.body["reason"], **cleared, **entry.body.get("tags", {})}
        case EntryKind.BEST_EPOCH:
            return {BEST_EPOCH_TAG: str(entry.epoch)}
        case EntryKind.RANK:
            return {**entry.body["tags"], RANK_TAG: f"{entry.body['rank']:04d}"}
        case EntryKind.SWEEP_RESUME:
            return dict(entry.body["tags"])
        case EntryKind.SWEEP_END:
            return {**entry.body["tags"], NOTE_TAG: complete_links(entry.body["description"])}
        case EntryKind.POINT_END:
            return _end_tags(entry)
        case _:
            return {}


def _end_tags(entry: Entry) -> dict[str, str]:
    state, tags = entry.body["state"], dict(entry.body["tags"])
    tags |= {STOPPED_BY: stopped_by(state, tags) or ""}
    if (diagnosis := entry.body.get("diagnosis")) is not None:
        tags |= {DIAGNOSIS_TAG: diagnosis_names(diagnosis)}
    if reason := entry.body["reason"]:
        tags |= {REASON_TAG: reason, NOTE_TAG: f"**{state.capitalize()}**: {reason}"}
    return tags
