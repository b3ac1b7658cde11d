"""Commands that are given on a cluster as short jobs: what a person is told where they fail there."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType

from sweeps.cluster.relay import ANSWER, Answer
from sweeps.commands import submitted
from sweeps.errors import ClusterError, InputError

if TYPE_CHECKING:
    from sweeps.cluster.jobs import Client

CRASHED = Answer(1, "", "Traceback (most recent call last):\n  File ...\nOSError: [Errno 28] No space left on device\n")


@dataclass
class Cluster:
    """A client of Ray's jobs on a cluster that lists none, and ends each that it gets with this in its log."""

    log: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def list_jobs(self) -> list[JobDetails]:
        return []

    def submit_job(self, *, submission_id: str, **_: Any) -> str:
        self.asked.append(("submit", submission_id))
        return submission_id

    def get_job_status(self, job: str) -> JobStatus:
        return JobStatus.SUCCEEDED

    def get_job_info(self, job: str) -> JobDetails:
        return JobDetails(type=JobType.SUBMISSION, submission_id=job, status=self.get_job_status(job), entrypoint="")

    def get_job_logs(self, job: str) -> str:
        return self.log

    def delete_job(self, job: str) -> bool:
        self.asked.append(("delete", job))
        return True


def answering(answer: Answer) -> "Client":
    return cast("Client", Cluster(f"a line of a library\n{ANSWER}{json.dumps(asdict(answer))}\n"))


def test_resume_after_a_lost_head_tells_why_the_sweeps_cannot_be_listed() -> None:
    refused = Answer(2, json.dumps({"errors": ["the store must answer", "and so must this"]}), "sweeps: the store\n")
    with pytest.raises(InputError) as told:
        submitted.continue_there(answering(refused), "lost", 0, as_json=True)
    assert told.value.faults == ("the store must answer", "and so must this")


@pytest.mark.parametrize("status", [1, 0])
def test_a_command_that_crashes_on_the_cluster_is_told_in_one_line_with_the_reason(status: int) -> None:
    client = answering(Answer(status, CRASHED.output, CRASHED.errors))
    with pytest.raises(ClusterError) as told:
        submitted.continue_there(client, "lost", 0, as_json=True)
    expected = f"`sweeps list` must answer on the cluster; it ended with status {status} and said: OSError: [Errno 28]"
    (fault,) = told.value.faults
    assert fault.startswith(expected)


def test_a_command_that_prints_nothing_at_all_is_told_with_its_status() -> None:
    with pytest.raises(ClusterError, match="status -9 and said: nothing"):
        submitted.delete_there(answering(Answer(-9, "", "")), "lost", [])


def test_delete_tells_what_the_cluster_refuses() -> None:
    refused = Answer(2, json.dumps({"errors": ["lost holds 3 entries"]}), "")
    with pytest.raises(InputError, match="lost holds 3 entries"):
        submitted.delete_there(answering(refused), "lost", ["--runs"])
