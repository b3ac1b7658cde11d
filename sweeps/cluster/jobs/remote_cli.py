"""Commands about a sweep that lies on a cluster, given there: a short Ray job each, near the folder and its MLflow."""

import json
import logging
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.cluster.jobs.runtime_env import Shipment
from sweeps.cluster.jobs.submissions import TOLD, start, translated
from sweeps.errors import ClusterError, InputError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

logger = logging.getLogger(__name__)

# The first argument of a job that gives one command, and what its answer's line in the job's log begins with.
FLAG, ANSWER = "--relay", "sweeps-answer: "
# Commands take seconds; `delete` takes more where there are many runs.
SECONDS, _END_SECONDS, _POLL_SECONDS = 900.0, 60.0, 0.3


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    output: str
    errors: str


def relay(
    client: "JobSubmissionClient",
    arguments: Sequence[str],
    cargo: Shipment,
    seconds: float = SECONDS,
    **settings: str,
) -> Answer:
    """Give a command on the cluster and wait for what comes of it; takes seconds more than the command itself.

    `settings` are variables of its environment there.
    Raises ClusterError where it has not ended after so many `seconds`, and has it end then, as Ctrl-C does.
    """
    job = f"sweeps-{arguments[0]}-{secrets.token_hex(4)}"
    if sys.stdout.isatty():
        settings["COLUMNS"] = str(shutil.get_terminal_size().columns)
    start(client, job, [FLAG, *arguments], {"sweeps.command": arguments[0]}, cargo, **settings)
    try:
        return _answer_of(client, job, seconds)
    finally:
        _forget(client, job)


def relay_json(client: "JobSubmissionClient", arguments: Sequence[str], cargo: Shipment) -> dict[str, Any]:
    """What a command on the cluster prints with --json.

    Raises InputError with what it finds wrong, ClusterError where it ends without a word of JSON.
    """
    answer = relay(client, [*arguments, "--json"], cargo)
    try:
        printed: dict[str, Any] = json.loads(answer.output)
    except ValueError:
        reason = (answer.errors.strip().splitlines() or ["nothing"])[-1].removeprefix(TOLD)[-300:]
        ended = f"it ended with status {answer.status} and said: {reason}"
        raise ClusterError(f"`sweeps {arguments[0]}` must answer on the cluster; {ended}") from None
    if answer.status:
        raise InputError(printed["errors"])
    return printed


def _answer_of(client: "JobSubmissionClient", job: str, seconds: float) -> Answer:
    with translated("give the log of a job"):
        if not _has_ended(client, job, seconds):
            state = client.get_job_status(job).value
            raise ClusterError(
                f"the cluster must give the command in {seconds:.0f} s, and has not: its job {job} is {state}, and is "
                "told to end; see in the cluster's dashboard what hinders it, and give the command again"
            )
        lines = client.get_job_logs(job).splitlines()
        message = client.get_job_info(job).message
    found = [line.removeprefix(ANSWER) for line in lines if line.startswith(ANSWER)]
    if not found:
        told = [line.removeprefix(TOLD) for line in lines if line.startswith(TOLD)]
        reason = " ".join((told[-1] if told else message or "no reason given").split())[-300:]
        raise ClusterError(f"the cluster must give the command, and did not: {reason}")
    return Answer(**json.loads(found[-1]))


def _has_ended(client: "JobSubmissionClient", job: str, seconds: float) -> bool:
    """Wait for the end of a job, for so long; whether it has come."""
    deadline = time.monotonic() + seconds
    while not client.get_job_status(job).is_terminal():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _forget(client: "JobSubmissionClient", job: str) -> None:
    """Take a job from the cluster's list, and have it end before; what hinders that hides nothing that was raised."""
    try:
        with translated("forget a job"):
            if not client.get_job_status(job).is_terminal():  # Whoever waits has lost patience.
                client.stop_job(job)
            if _has_ended(client, job, _END_SECONDS):
                client.delete_job(job)
            else:
                logger.warning("The job %s was told to end and has not yet: it stays in the cluster's list", job)
    except ClusterError as error:
        logger.warning("The job %s stays in the cluster's list: %s", job, error)
