"""Submitted sweeps: each is a Ray job of the sweep's id, and what continues it one of `ID-r2`, `ID-r3` and so on."""

import getpass
import logging
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sweeps.cluster.jobs.runtime_env import Shipment
from sweeps.errors import ClusterError, SweepDone, UnknownSweep

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

    Client = JobSubmissionClient

SWEEP, OWNER, TRIALS = "sweeps.sweep", "sweeps.owner", "sweeps.trials"
# What the driver and its supervisor tell of themselves begins so.
TOLD = "sweeps: "
# Ray kills what has not ended so long after it was told to stop; a driver ends its runs and delivers what is left.
STOP_SECONDS = 120
INTERRUPTED = 130
_POLL_SECONDS = 0.5
_CONTINUATION = re.compile(r"(?P<sweep>.+?)(-r(?P<number>\d+))?")


class JobState(StrEnum):
    """How a submitted sweep stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


_STATES = {"SUCCEEDED": JobState.FINISHED, "STOPPED": JobState.INTERRUPTED}


@dataclass(frozen=True)
class SubmittedSweep:
    """A sweep on a cluster, as its newest job stands.

    `told` is the last thing that the job has said of itself: of the moment when it ended, where it has.
    """

    sweep: str
    job: str
    n_jobs: int
    state: JobState
    owner: str
    n_trials: int | None
    started_ms: int | None
    told: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether no job runs it."""
        return self.state not in (JobState.PENDING, JobState.RUNNING)

    def to_dict(self) -> dict[str, Any]:
        """The sweep as plain values."""
        return asdict(self) | {"state": str(self.state)}


def submit(client: "Client", sweep: str, n_trials: int, arguments: Sequence[str], cargo: Shipment) -> str:
    """Have the cluster give `arguments` to the command line there; return the job's id. Takes seconds.

    No environment variable of ours goes along: Ray shows a job's to everybody, and credentials are the cluster's.
    """
    job = _next_id(sweep, [details.submission_id for details in _jobs(client)])
    return start(client, job, [sweep, *arguments], {SWEEP: sweep, TRIALS: str(n_trials)}, cargo)


def start(
    client: "Client", job: str, arguments: Sequence[str], metadata: Mapping[str, str], cargo: Shipment, **settings: str
) -> str:
    """Have the cluster give `arguments` to what is shipped, with these variables of its environment set; the id."""
    runtime_env: dict[str, Any] = {
        "working_dir": str(cargo.working_folder),
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)} | settings,
    }
    if cargo.array_folders:  # Ray fails on an empty list.
        runtime_env["py_modules"] = [str(folder) for folder in cargo.array_folders]
    for talkative in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    with translated("take a job"):
        return client.submit_job(
            entrypoint=f"exec python bootstrap.py {shlex.join(arguments)}",
            submission_id=job,
            runtime_env=runtime_env,
            metadata={OWNER: _owner(), **metadata},
        )


def all_submitted(client: "Client") -> list[SubmittedSweep]:
    """Every sweep on the cluster, newest first."""
    newest: dict[str, list[JobDetails]] = {}
    for details in sorted(_jobs(client), key=_order):
        newest.setdefault(_sweep_of(details), []).append(details)
    found = [_submitted(sweep, jobs) for sweep, jobs in newest.items()]
    return sorted(found, key=lambda submitted: submitted.started_ms or 0, reverse=True)


def find_submitted(client: "Client", sweep: str) -> SubmittedSweep:
    """The sweep of this id, or of the only one that starts so, with what it tells of itself."""
    known = all_submitted(client)
    matches = matching(known, sweep)
    if len(matches) != 1:
        ids = ", ".join(submitted.sweep for submitted in matches or known[:10])
        lost = "" if matches else "; `sweeps resume` goes on with one whose jobs were lost with the cluster's head"
        raise UnknownSweep(f"{sweep!r} must name one sweep of the cluster, which has {ids or 'none'}{lost}")
    with translated("give the log of a job"):
        lines = [line for line in client.get_job_logs(matches[0].job).splitlines() if line.startswith(TOLD)]
    told = lines[-1].removeprefix(TOLD) if lines else _message(client, matches[0].job)
    return replace(matches[0], told=told)


def matching(known: Sequence[SubmittedSweep], sweep: str) -> list[SubmittedSweep]:
    """Those that `sweep` may mean: the one of this id, or all that start so."""
    return [s for s in known if s.sweep == sweep] or [s for s in known if s.sweep.startswith(sweep)]


def stop(client: "Client", submitted: SubmittedSweep) -> SubmittedSweep:
    """End a submitted sweep cleanly, and wait until it has ended."""
    if submitted.has_ended:
        raise SweepDone(f"{submitted.sweep} does not run: its job is {submitted.state}")
    with translated("stop a job"):
        client.stop_job(submitted.job)
    deadline = time.monotonic() + STOP_SECONDS + 30
    while not (now := find_submitted(client, submitted.sweep)).has_ended:
        if time.monotonic() > deadline:
            raise ClusterError(f"{submitted.sweep} was told to end and has not yet: `sweeps status` tells when it has")
        time.sleep(_POLL_SECONDS)
    return now


def logs(client: "Client", submitted: SubmittedSweep, *, follow: bool) -> Iterator[str]:
    """What the sweep's newest job has printed, piece by piece; with `follow` until it ends."""
    n_given = 0
    while True:
        has_ended = not follow or find_submitted(client, submitted.sweep).has_ended
        with translated("give the log of a job"):
            text = client.get_job_logs(submitted.job)
        yield text[n_given:]
        n_given = len(text)
        if has_ended:
            return
        time.sleep(_POLL_SECONDS)


def forget(client: "Client", sweep: str) -> None:
    """Take the jobs of a sweep that has ended from the cluster's list."""
    for details in _jobs(client):
        if _sweep_of(details) == sweep:
            with translated("delete a job"):
                client.delete_job(details.submission_id or "")


def _jobs(client: "Client") -> "list[JobDetails]":
    with translated("list its jobs"):
        return [details for details in client.list_jobs() if SWEEP in (details.metadata or {})]


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what Ray's client raises into a line; it raises RuntimeError for what the server refuses."""
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        raise ClusterError(f"the cluster must {what}; it said: {' '.join(str(error).split())[:300]}") from error


def _next_id(sweep: str, taken: Sequence[str | None]) -> str:
    if sweep not in taken:
        return sweep
    return next(f"{sweep}-r{number}" for number in range(2, len(taken) + 3) if f"{sweep}-r{number}" not in taken)


def _order(details: "JobDetails") -> int:
    found = _CONTINUATION.fullmatch(details.submission_id or "")
    return int((found and found["number"]) or 1)


def _sweep_of(details: "JobDetails") -> str:
    return str((details.metadata or {})[SWEEP])


def _submitted(sweep: str, jobs: "Sequence[JobDetails]") -> SubmittedSweep:
    """A sweep by its jobs, the newest last."""
    newest = jobs[-1]
    metadata = newest.metadata or {}
    state = _STATES.get(newest.status.value) or JobState(newest.status.value)
    if newest.driver_exit_code == INTERRUPTED:
        state = JobState.INTERRUPTED
    n_trials = metadata.get(TRIALS, "")
    return SubmittedSweep(
        sweep=sweep,
        job=newest.submission_id or sweep,
        n_jobs=len(jobs),
        state=state,
        owner=metadata.get(OWNER, ""),
        n_trials=int(n_trials) if n_trials.isdecimal() else None,
        started_ms=newest.start_time,
    )


def _message(client: "Client", job: str) -> str | None:
    """What Ray itself says of a job, in one line: the last one, for what comes before is where it happened."""
    with translated("tell of a job"):
        lines = (client.get_job_info(job).message or "").strip().splitlines()
    return lines[-1].strip()[:300] if lines else None


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container's user id may have no name.
        return "unknown"
