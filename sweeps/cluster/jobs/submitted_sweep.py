"""A sweep on a cluster by its jobs, and which one a person means."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sweeps.errors import UnknownSweep
from sweeps.storage.sweep_ids import matches


class JobState(StrEnum):
    """The state of a submitted sweep."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class SubmittedSweep:
    """A sweep on a cluster, by its newest job; `last_line` is the newest line of that job's log about the sweep.

    `submitted` is who submitted its first job, and from where, as a claim; None if an earlier version recorded none.
    `plugins` are its plug-ins by role, as `recorded_plugins` returns them.
    """

    sweep: str
    job: str
    n_jobs: int
    state: JobState
    owner: str
    n_trials: int | None
    started_ms: int | None
    last_line: str | None = None
    submitted: Mapping[str, Any] | None = None
    plugins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether no job of the sweep is pending or running."""
        return self.state not in (JobState.PENDING, JobState.RUNNING)

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as plain values; `last_line` is `told` in the JSON form."""
        plain = asdict(self) | {"state": str(self.state)}
        return plain | {"told": plain.pop("last_line")}


def only_match(known: Sequence[SubmittedSweep], sweep: str, *, newest: bool = True) -> SubmittedSweep:
    """Return the one sweep that `sweep` can mean. Raises UnknownSweep if it can mean none or several."""
    found = matching(known, sweep, newest=newest)
    if len(found) != 1:
        ids = ", ".join(submitted.sweep for submitted in found or known[:10])
        hint = "" if found else "; if the cluster's head lost its jobs, `sweeps resume` continues a sweep"
        raise UnknownSweep(f"{sweep!r} must name one sweep of the cluster, which has {ids or 'none'}{hint}")
    return found[0]


def matching(known: Sequence[SubmittedSweep], sweep: str, *, newest: bool = True) -> list[SubmittedSweep]:
    """Return the sweeps that `sweep` can mean, as `sweep_ids.matches` reads it."""
    ids = matches(sweep, [submitted.sweep for submitted in known], newest=newest)
    return [submitted for submitted in known if submitted.sweep in ids]
