"""Short jobs that run one command on a cluster: what becomes of a job that fails or does not end."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from job_cluster import Cluster, answering
from ray.job_submission import JobStatus

from sweeps.cluster.jobs.remote_cli import Answer, run_remotely, run_remotely_json
from sweeps.cluster.jobs.runtime_env import JobFiles
from sweeps.errors import ClusterError, InputError

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import Client

FILES = JobFiles(Path())
CRASHED = "Traceback (most recent call last):\n  File ...\nOSError: [Errno 28] No space left on device\n"


def test_errors_that_a_command_prints_as_json_are_raised() -> None:
    refused = Answer(2, json.dumps({"errors": ["the store must answer", "and so must this"]}), "sweeps: the store\n")
    with pytest.raises(InputError) as error:
        run_remotely_json(answering(refused), ["list", "--json"], FILES)
    assert error.value.issues == ("the store must answer", "and so must this")


@pytest.mark.parametrize("status", [1, 0])
def test_a_command_that_crashes_on_the_cluster_is_one_line_with_the_reason(status: int) -> None:
    with pytest.raises(ClusterError) as error:
        run_remotely_json(answering(Answer(status, "", CRASHED)), ["list", "--json"], FILES)
    expected = f"`sweeps list` did not print JSON on the cluster: it ended with status {status} and printed: OSError: "
    (issue,) = error.value.issues
    assert issue.startswith(f"{expected}[Errno 28]")


def test_a_command_that_prints_nothing_is_reported_with_its_status() -> None:
    with pytest.raises(ClusterError, match="status -9 and printed: nothing"):
        run_remotely_json(answering(Answer(-9, "", "")), ["delete", "lost", "--json"], FILES)


def test_a_job_that_does_not_end_is_named_stopped_and_removed() -> None:
    cluster = Cluster(state=JobStatus.PENDING)
    with pytest.raises(ClusterError, match=r"within 0 s; its job sweeps-best-.* is PENDING") as error:
        run_remotely(cast("Client", cluster), ["best", "mine"], FILES, timeout_seconds=0)
    job = cluster.asked[0].removeprefix("submit ")
    assert job in str(error.value)
    assert cluster.asked == [f"submit {job}", f"stop {job}", f"delete {job}"]


def test_an_interrupted_command_stops_and_removes_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(state=JobStatus.RUNNING)

    def press_control_c(_seconds: float) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeps.cluster.jobs.remote_cli.time.sleep", press_control_c)
    with pytest.raises(KeyboardInterrupt):
        run_remotely(cast("Client", cluster), ["sync", "mine"], FILES)
    assert [asked.split()[0] for asked in cluster.asked] == ["submit", "stop", "delete"]


def test_a_job_that_cannot_be_removed_hides_neither_an_error_nor_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_cluster: Cluster, _job: str) -> bool:
        raise RuntimeError("not now")

    monkeypatch.setattr(Cluster, "delete_job", refuse)
    with pytest.raises(ClusterError, match="no reason given"):
        run_remotely(cast("Client", Cluster("nothing of ours")), ["best", "mine"], FILES)
    answer = Answer(0, "the best", "")
    assert run_remotely(answering(answer), ["best", "mine"], FILES) == answer
    assert ["not now" in record.getMessage() for record in caplog.records] == [True, True]
