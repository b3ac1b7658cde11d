"""Sweeps as a tracking store has them, wherever they run: for whoever has no journal of them at hand."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.errors import TrackingError
from sweeps.tracking.address import check_tracker, run_link
from sweeps.tracking.runs import OWNER_TAG, POINT_TAG, ROLE_TAG, SWEEP_ROLE, SWEEP_TAG
from sweeps.tracking.store import Refused, Unavailable, search

MAX_LISTED = 100
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

    TrackingError where it does not answer.
    """
    if not _ID.fullmatch(sweep):
        return None
    parents = _search(uri, f"tags.`{ROLE_TAG}` = '{SWEEP_ROLE}' AND tags.`{SWEEP_TAG}` LIKE '{sweep}%'", MAX_LISTED)
    known = {run.data.tags[SWEEP_TAG]: run for run in parents}
    found = sweep if sweep in known else next(iter(known), sweep)
    if found not in known or (found != sweep and len(known) > 1):
        return None
    runs = _search(uri, f"tags.`{SWEEP_TAG}` = '{found}'", None)
    trials = Counter(run.info.status for run in runs if POINT_TAG in run.data.tags)
    return _tracked(uri, known[found], dict(trials))


def _search(uri: str, filter_string: str, limit: int | None) -> list[Any]:
    check_tracker(uri)
    try:
        return search(uri, filter_string, limit)
    except (Refused, Unavailable) as error:
        raise TrackingError(f"MLflow must tell of its sweeps; it said: {error}") from None


def _tracked(uri: str, run: Any, trials: Mapping[str, int]) -> TrackedSweep:
    tags = run.data.tags
    link = run_link(uri, run.info.experiment_id, run.info.run_id) if uri.startswith("http") else ""
    return TrackedSweep(tags[SWEEP_TAG], run.info.status, tags.get(OWNER_TAG, ""), run.info.start_time, link, trials)
