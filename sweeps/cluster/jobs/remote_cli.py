"""Commands about a sweep that lies on a cluster, each run there as a short Ray job, near the folder and its MLflow."""

import json
import logging
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.cluster.jobs.runtime_env import JobFiles
from sweeps.cluster.jobs.submissions import LOG_PREFIX, start, translated
from sweeps.errors import ClusterError, InputError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

logger = logging.getLogger(__name__)

# The first argument of a job that runs one command, and the beginning of its answer's line in the job's log.
FLAG, ANSWER = "--relay", "sweeps-answer: "
# Commands take seconds; `delete` takes longer if there are many runs.
TIMEOUT_SECONDS, _END_TIMEOUT_SECONDS, _POLL_SECONDS = 900.0, 60.0, 0.3
_MAX_REASON_CHARACTERS = 300


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    output: str
    errors: str


def run_remotely(
    client: "JobSubmissionClient",
    arguments: Sequence[str],
    files: JobFiles,
    timeout_seconds: float = TIMEOUT_SECONDS,
    **environment: str,
) -> Answer:
    """Run a command on the cluster, with these variables in its environment, and wait for its answer.

    Takes seconds more than the command itself. After `timeout_seconds`, and on Ctrl-C, the job is stopped; the former
    raises ClusterError.
    """
    job = f"sweeps-{arguments[0]}-{secrets.token_hex(4)}"
    if sys.stdout.isatty():
        environment["COLUMNS"] = str(shutil.get_terminal_size().columns)
    start(client, job, [FLAG, *arguments], {"sweeps.command": arguments[0]}, files, **environment)
    try:
        return _wait_for_answer(client, job, timeout_seconds)
    finally:
        _remove(client, job)


def run_remotely_json(client: "JobSubmissionClient", arguments: Sequence[str], files: JobFiles) -> dict[str, Any]:
    """Run a command that has `--json` on the cluster, and return the object that it prints.

    Raises InputError with the errors that it prints, ClusterError if it prints no JSON.
    """
    answer = run_remotely(client, arguments, files)
    try:
        printed: dict[str, Any] = json.loads(answer.output)
    except ValueError:
        last_line = (answer.errors.strip().splitlines() or ["nothing"])[-1].removeprefix(LOG_PREFIX)
        raise ClusterError(
            f"`sweeps {arguments[0]}` did not print JSON on the cluster: it ended with status {answer.status} and "
            f"printed: {last_line[-_MAX_REASON_CHARACTERS:]}"
        ) from None
    if answer.status:
        raise InputError(printed["errors"])
    return printed


def _wait_for_answer(client: "JobSubmissionClient", job: str, timeout_seconds: float) -> Answer:
    with translated("return the log of a job"):
        if not _wait_for_end(client, job, timeout_seconds):
            state = client.get_job_status(job).value
            raise ClusterError(
                f"the cluster did not run the command within {timeout_seconds:.0f} s; its job {job} is {state}, and "
                "will be stopped: find the cause in the cluster's dashboard, and run the command again"
            )
        lines = client.get_job_logs(job).splitlines()
        message = client.get_job_info(job).message
    answers = [line.removeprefix(ANSWER) for line in lines if line.startswith(ANSWER)]
    if not answers:
        logged = [line.removeprefix(LOG_PREFIX) for line in lines if line.startswith(LOG_PREFIX)]
        reason = " ".join((logged[-1] if logged else message or "no reason given").split())
        raise ClusterError(f"the command's job on the cluster failed: {reason[-_MAX_REASON_CHARACTERS:]}")
    return Answer(**json.loads(answers[-1]))


def _wait_for_end(client: "JobSubmissionClient", job: str, timeout_seconds: float) -> bool:
    """Wait until a job has ended; return False after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not client.get_job_status(job).is_terminal():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _remove(client: "JobSubmissionClient", job: str) -> None:
    """Stop a job and remove it from the cluster's list; log an error, which must not hide the command's own."""
    try:
        with translated("delete a job"):
            if not client.get_job_status(job).is_terminal():  # timed out or interrupted
                client.stop_job(job)
            if _wait_for_end(client, job, _END_TIMEOUT_SECONDS):
                client.delete_job(job)
            else:
                logger.warning("The job %s has not stopped yet; it remains in the cluster's list", job)
    except ClusterError as error:
        logger.warning("The job %s remains in the cluster's list: %s", job, error)
