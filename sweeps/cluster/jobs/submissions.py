"""Submitted sweeps: each is a Ray job with the sweep's id; each resume is a new job, `ID-r2`, `ID-r3` and so on."""

import logging
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweeps.bounded_http import AnswerTooLarge
from sweeps.cluster.jobs.runtime_env import JobFiles
from sweeps.cluster.jobs.submitted_sweep import JobState, SubmittedSweep, only_match
from sweeps.errors import ClusterError, SweepDone
from sweeps.storage.sweep_ids import is_folder_name
from sweeps.tracking.journal.database import LAST_MS
from sweeps.tracking.person import Source, cleaned, os_user
from sweeps.tracking.plugin_tags import recorded_plugins
from sweeps.tracking.submission import PREFIX, SUBMISSION_VARIABLE, current_submission, described

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

    Client = JobSubmissionClient

SWEEP, OWNER, TRIALS = "sweeps.sweep", "sweeps.owner", "sweeps.trials"
# What each line starts with that the driver and its supervisor log.
LOG_PREFIX = "sweeps: "
# Ray kills a job this long after the request to stop; meanwhile the driver ends its runs and delivers its records.
STOP_SECONDS = 120
INTERRUPTED = 130
_POLL_SECONDS = 0.5
# Failed sweeps whose logs a list reads: one request each.
_MAX_REASONS = 10
_COUNT = re.compile(r"[0-9]{1,9}")
_CONTINUATION = re.compile(r"(?P<sweep>.+?)(-r(?P<number>\d+))?")
_STATES = {"SUCCEEDED": JobState.FINISHED, "STOPPED": JobState.INTERRUPTED}


def submit(client: "Client", sweep: str, n_trials: int, arguments: Sequence[str], files: JobFiles) -> str:
    """Submit a job that runs the command line with `arguments`; return the job's id within seconds.

    The job gets who submits it and from which commit, and no other variable of this machine: Ray shows a job's
    variables to everybody, and the cluster has its own credentials.
    """
    job = _next_id(sweep, [details.submission_id for details in _jobs(client)])
    submission = current_submission(os.environ.get("MLFLOW_TRACKING_URI"), files.plugin_tags)
    metadata = {SWEEP: sweep, TRIALS: str(n_trials)} | submission.to_tags()
    return start(client, job, [sweep, *arguments], metadata, files, **{SUBMISSION_VARIABLE: submission.to_json()})


def start(
    client: "Client", job: str, arguments: Sequence[str], metadata: Mapping[str, str], files: JobFiles, **env_vars: str
) -> str:
    """Submit a job that runs the shipped entry point with `arguments` and environment variables; return its id."""
    runtime_env: dict[str, Any] = {
        "working_dir": str(files.working_folder),
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)} | env_vars,
    }
    if files.array_folders:  # Ray fails on an empty list
        runtime_env["py_modules"] = [str(folder) for folder in files.array_folders]
    for verbose in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(verbose).setLevel(logging.ERROR)
    with translated("accept a job"):
        return client.submit_job(
            entrypoint=f"exec python bootstrap.py {shlex.join(arguments)}",
            submission_id=job,
            runtime_env=runtime_env,
            metadata={OWNER: os_user(), **metadata},
        )


def all_submitted(client: "Client") -> list[SubmittedSweep]:
    """Return every sweep on the cluster, newest first."""
    newest: dict[str, list[JobDetails]] = {}
    for details in sorted(_jobs(client), key=_order):
        newest.setdefault(_sweep_of(details), []).append(details)
    found = [_submitted(sweep, jobs) for sweep, jobs in newest.items()]
    return sorted(found, key=lambda submitted: submitted.started_ms or 0, reverse=True)


def find_submitted(client: "Client", sweep: str) -> SubmittedSweep:
    """Return the sweep that `sweep` means, as `sweep_ids.matches` reads it, with its newest log line.

    Raises UnknownSweep.
    """
    found = only_match(all_submitted(client), sweep)
    return replace(found, last_line=_last_line(client, found.job))


def all_submitted_with_reasons(client: "Client") -> list[SubmittedSweep]:
    """Return every sweep on the cluster, newest first; those that failed last with the newest line of their log.

    A sweep that failed its first checks has no folder: the log of its job alone says why.
    """
    submitted = all_submitted(client)
    failed = [sweep.job for sweep in submitted if sweep.state is JobState.FAILED][:_MAX_REASONS]
    return [
        replace(sweep, last_line=_reason(client, sweep.job)) if sweep.job in failed else sweep for sweep in submitted
    ]


def stop(client: "Client", submitted: SubmittedSweep) -> SubmittedSweep:
    """Stop a submitted sweep cleanly, and return it once it has ended."""
    if submitted.has_ended:
        raise SweepDone(f"{submitted.sweep} is not running, its job is {submitted.state}: there is nothing to stop")
    with translated("stop a job"):
        client.stop_job(submitted.job)
    deadline = time.monotonic() + STOP_SECONDS + 30
    while not (now := find_submitted(client, submitted.sweep)).has_ended:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{submitted.sweep} did not stop within {STOP_SECONDS + 30} s and is still {now.state}: check it "
                "later with `sweeps status`"
            )
        time.sleep(_POLL_SECONDS)
    return now


def logs(client: "Client", submitted: SubmittedSweep, *, follow: bool) -> Iterator[str]:
    """Yield the log of the sweep's newest job piece by piece; with `follow`, until the job ends."""
    n_printed = 0
    while True:
        has_ended = not follow or find_submitted(client, submitted.sweep).has_ended
        with translated("return the log of a job"):
            try:
                text = client.get_job_logs(submitted.job)
            except AnswerTooLarge as error:
                raise ClusterError(
                    f"the cluster {error} for the log of {submitted.job}: {_read_there(submitted.job)}"
                ) from None
        yield text[n_printed:]
        n_printed = len(text)
        if has_ended:
            return
        time.sleep(_POLL_SECONDS)


def forget(client: "Client", sweep: str) -> None:
    """Remove the jobs of a sweep that has ended from the cluster's list."""
    for details in _jobs(client):
        if _sweep_of(details) == sweep:
            with translated("delete a job"):
                client.delete_job(details.submission_id or "")


def _jobs(client: "Client") -> "list[JobDetails]":
    """Return the jobs of sweeps. Everybody with access to the cluster can write a job's id and metadata: check them."""
    with translated("list its jobs"):
        return [details for details in client.list_jobs() if _is_of_a_sweep(details)]


def _is_of_a_sweep(details: "JobDetails") -> bool:
    """Return whether a job can be of a sweep: its ids become arguments of commands and names of folders."""
    sweep = (details.metadata or {}).get(SWEEP)
    return sweep is not None and is_folder_name(sweep) and is_folder_name(details.submission_id or sweep)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn an error of Ray's client into a ClusterError: the client raises RuntimeError if the server refuses."""
    try:
        yield
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise ClusterError(f"the cluster failed to {action}: {' '.join(str(error).split())[:300]}") from None


def _next_id(sweep: str, taken: Sequence[str | None]) -> str:
    if sweep not in taken:
        return sweep
    return next(f"{sweep}-r{number}" for number in range(2, len(taken) + 3) if f"{sweep}-r{number}" not in taken)


def _last_line(client: "Client", job: str) -> str | None:
    """Return the newest line that a job has logged about its sweep, else Ray's message about the job."""
    with translated("return the log of a job"):
        try:
            lines = [line for line in client.get_job_logs(job).splitlines() if line.startswith(LOG_PREFIX)]
        except AnswerTooLarge:  # the state of the sweep matters more
            return f"its log is too large to read from here: {_read_there(job)}"
    return lines[-1].removeprefix(LOG_PREFIX) if lines else _message(client, job)


def _read_there(job: str) -> str:
    return f"read it on the cluster with `ray job logs {shlex.quote(job)}`"


def _reason(client: "Client", job: str) -> str | None:
    """Return the newest line of a job's log; why it cannot be read if its host has failed."""
    try:
        return _last_line(client, job)
    except ClusterError as error:
        return str(error)


def _order(details: "JobDetails") -> int:
    found = _CONTINUATION.fullmatch(details.submission_id or "")
    return int((found and found["number"]) or 1)


def _sweep_of(details: "JobDetails") -> str:
    return str((details.metadata or {})[SWEEP])


def _submitted(sweep: str, jobs: "Sequence[JobDetails]") -> SubmittedSweep:
    """Return a sweep by its jobs, which are in order, the newest last."""
    newest = jobs[-1]
    metadata = _metadata(newest)
    state = _STATES.get(newest.status.value) or JobState(newest.status.value)
    if newest.driver_exit_code == INTERRUPTED:
        state = JobState.INTERRUPTED
    n_trials = metadata.get(TRIALS, "")
    return SubmittedSweep(
        sweep=sweep,
        job=newest.submission_id or sweep,
        n_jobs=len(jobs),
        state=state,
        owner=cleaned(metadata.get(OWNER, "")),
        n_trials=int(n_trials) if _COUNT.fullmatch(n_trials) else None,
        started_ms=newest.start_time if 0 <= (newest.start_time or 0) <= LAST_MS else None,
        submitted=described(_claimed(_metadata(jobs[0]))),
        plugins=recorded_plugins({key: cleaned(text, 200) for job in jobs for key, text in _metadata(job).items()}),
    )


def _metadata(details: "JobDetails") -> Mapping[str, str]:
    return details.metadata or {}


def _claimed(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return a job's metadata with its submitter as a claim: whoever can start a job can write any name."""
    return dict(metadata) | {f"{PREFIX}by_source": Source.CLAIMED}


def _message(client: "Client", job: str) -> str | None:
    """Return the last line of Ray's message about a job: the lines before it are a traceback."""
    with translated("describe a job"):
        lines = (client.get_job_info(job).message or "").strip().splitlines()
    return lines[-1].strip()[:300] if lines else None
