"""A stand-in for the Jobs API of a Ray cluster."""

import json
import shlex
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType

from sweeps.cluster.jobs.remote_cli import ANSWER, Answer

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import Client


@dataclass
class Cluster:
    """A client of Ray's jobs on a cluster that lists `jobs`, and gives each new job this state and log.

    A job ends at the second look after it was stopped; before it has ended, it cannot be deleted.
    `asked` holds the requests, `given` the arguments of each job's entry point, `environment` and `metadata` those of
    the newest job.
    """

    log: str = ""
    state: JobStatus = JobStatus.SUCCEEDED
    asked: list[str] = field(default_factory=list)
    given: list[list[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    n_looks_until_stopped: int | None = None
    jobs: list[JobDetails] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        """The commands that jobs were submitted to run."""
        return [" ".join(arguments[1:]) for arguments in self.given if arguments[0] == "--relay"]

    def list_jobs(self) -> list[JobDetails]:
        return self.jobs

    def submit_job(
        self, *, submission_id: str, entrypoint: str, runtime_env: dict[str, Any], metadata: dict[str, str]
    ) -> str:
        self.asked.append(f"submit {submission_id}")
        self.given.append(shlex.split(entrypoint.partition(" bootstrap.py ")[2]))
        self.environment, self.metadata = runtime_env["env_vars"], metadata
        return submission_id

    def get_job_status(self, job: str) -> JobStatus:
        if self.n_looks_until_stopped is not None:
            self.n_looks_until_stopped -= 1
            self.state = self.state if self.n_looks_until_stopped else JobStatus.STOPPED
        return self.state

    def get_job_info(self, job: str) -> JobDetails:
        return JobDetails(type=JobType.SUBMISSION, submission_id=job, status=self.state, entrypoint="")

    def get_job_logs(self, job: str) -> str:
        return self.log

    def stop_job(self, job: str) -> bool:
        self.asked.append(f"stop {job}")
        self.n_looks_until_stopped = 2
        return True

    def delete_job(self, job: str) -> bool:
        if not self.state.is_terminal():
            raise RuntimeError(f"{job} has not ended")
        self.asked.append(f"delete {job}")
        return True


def answering(answer: Answer) -> "Client":
    """A cluster that answers so to every command."""
    return cast("Client", Cluster(f"a line of a library\n{ANSWER}{json.dumps(asdict(answer))}\n"))


def name_cluster(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> Cluster:
    """Let RAY_API_SERVER_ADDRESS name a cluster that answers so to every command."""
    cluster = cast("Cluster", answering(answer))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265")
    monkeypatch.setattr("sweeps.cluster.jobs.client.connect", lambda _address: cluster)
    return cluster


def job_of(sweep: str, number: int = 1, status: JobStatus = JobStatus.FAILED) -> JobDetails:
    """One of the jobs of a submitted sweep."""
    job = sweep if number == 1 else f"{sweep}-r{number}"
    return JobDetails(
        type=JobType.SUBMISSION, submission_id=job, status=status, entrypoint="", metadata={"sweeps.sweep": sweep}
    )
