"""Sweeps found by their MLflow runs, wherever they run: for hosts that do not have their journals."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.errors import TrackingError, UnknownSweep
from sweeps.storage.sweep_ids import LATEST, matches, slug
from sweeps.tracking.mlflow.client import search
from sweeps.tracking.mlflow.connection import Refused, Unavailable
from sweeps.tracking.mlflow.run_metadata import OWNER_TAG, POINT_TAG, ROLE_TAG, SWEEP_ROLE, SWEEP_TAG
from sweeps.tracking.mlflow.uri import check_tracker, run_link
from sweeps.tracking.submission import described

MAX_LISTED = 100
# Short: a person waits for a list that has other sources, too.
_PATIENCE_SECONDS = 5.0
# The characters of an id: none is special in a filter string.
_ID = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True)
class TrackedSweep:
    """A sweep by its runs; `trials` counts them by status, and is empty in a list of sweeps."""

    sweep: str
    state: str
    owner: str
    started_ms: int
    link: str
    trials: Mapping[str, int]
    submitted: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as plain values."""
        return asdict(self)


def list_tracked(uri: str) -> list[TrackedSweep]:
    """Return the newest sweeps of a store; TrackingError if it does not answer."""
    return [_tracked(uri, run, {}) for run in _search(uri, f"tags.`{ROLE_TAG}` = '{SWEEP_ROLE}'", MAX_LISTED)]


def find_tracked(uri: str, sweep: str) -> TrackedSweep | None:
    """Return the sweep that `sweep` means, as `sweep_ids.matches` reads it; None if the store has none.

    TrackingError if the store does not answer, UnknownSweep if it may mean several.
    """
    if _ID.fullmatch(sweep) and (found := _find(uri, sweep)) is not None:
        return found
    query = f"tags.`{ROLE_TAG}` = '{SWEEP_ROLE}'"
    query += "" if sweep == LATEST else f" AND tags.`{SWEEP_TAG}` LIKE '{slug(sweep)}%'"
    ids = matches(sweep, sorted({run.data.tags[SWEEP_TAG] for run in _search(uri, query, MAX_LISTED)}))
    if len(ids) > 1:
        known = ", ".join(ids[:10])
        raise UnknownSweep(f"{sweep!r} must name one sweep, and it may mean {len(ids)} in MLflow: {known}. Name one")
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
        raise TrackingError(f"MLflow must list its sweeps, and failed ({error}): try again once it answers") from None


def _tracked(uri: str, run: Any, trials: Mapping[str, int]) -> TrackedSweep:
    tags = run.data.tags
    link = run_link(uri, run.info.experiment_id, run.info.run_id) if uri.startswith("http") else ""
    return TrackedSweep(
        tags[SWEEP_TAG],
        run.info.status,
        tags.get(OWNER_TAG, ""),
        run.info.start_time,
        link,
        trials,
        described(tags),
    )
