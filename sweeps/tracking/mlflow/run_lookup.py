"""Sweeps as a tracking store has them, wherever they run: for whoever has no journal of them at hand."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.errors import TrackingError, UnknownSweep
from sweeps.tracking.mlflow.client import search
from sweeps.tracking.mlflow.connection import Refused, Unavailable
from sweeps.tracking.mlflow.run_metadata import OWNER_TAG, POINT_TAG, ROLE_TAG, SWEEP_ROLE, SWEEP_TAG
from sweeps.tracking.mlflow.uri import check_tracker, run_link

MAX_LISTED = 100
# Somebody waits for a list of what else answers.
_PATIENCE_SECONDS = 5.0
# What an id is made of: nothing that means something in a filter.
_ID = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class TrackedSweep:
    """A sweep by its runs; `trials` counts them by status, and is empty where that was not asked for."""

    sweep: str
    state: str
    owner: str
    started_ms: int
    link: str
    trials: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The sweep as plain values."""
        return asdict(self)


def list_tracked(uri: str) -> list[TrackedSweep]:
    """The newest sweeps of a store; TrackingError where it does not answer."""
    return [_tracked(uri, run, {}) for run in _search(uri, f"tags.`{ROLE_TAG}` = '{SWEEP_ROLE}'", MAX_LISTED)]


def find_tracked(uri: str, sweep: str) -> TrackedSweep | None:
    """The sweep of this id, or the only one that starts so; None where the store has none.

    TrackingError where it does not answer, UnknownSweep where several start so.
    """
    if not _ID.fullmatch(sweep):
        return None
    found = _find(uri, sweep)
    if found is not None:
        return found
    begun = f"tags.`{ROLE_TAG}` = '{SWEEP_ROLE}' AND tags.`{SWEEP_TAG}` LIKE '{sweep}%'"
    ids = sorted({run.data.tags[SWEEP_TAG] for run in _search(uri, begun, MAX_LISTED)})
    if len(ids) > 1:
        raise UnknownSweep(f"{sweep!r} must name one sweep; in MLflow it starts {len(ids)}: {', '.join(ids[:10])}")
    return _find(uri, ids[0]) if ids else None


def _find(uri: str, sweep: str) -> TrackedSweep | None:
    runs = _search(uri, f"tags.`{SWEEP_TAG}` = '{sweep}'", None)
    trials = Counter(run.info.status for run in runs if POINT_TAG in run.data.tags)
    parents = [run for run in runs if POINT_TAG not in run.data.tags]
    return _tracked(uri, parents[0], dict(trials)) if parents else None


def _search(uri: str, filter_string: str, limit: int | None) -> list[Any]:
    check_tracker(uri, _PATIENCE_SECONDS)
    try:
        return search(uri, filter_string, limit)
    except (Refused, Unavailable) as error:
        raise TrackingError(f"MLflow must tell of its sweeps; it said: {error}") from None


def _tracked(uri: str, run: Any, trials: Mapping[str, int]) -> TrackedSweep:
    tags = run.data.tags
    link = run_link(uri, run.info.experiment_id, run.info.run_id) if uri.startswith("http") else ""
    return TrackedSweep(tags[SWEEP_TAG], run.info.status, tags.get(OWNER_TAG, ""), run.info.start_time, link, trials)
