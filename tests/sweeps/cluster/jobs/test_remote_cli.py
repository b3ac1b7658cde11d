"""Commands that are given on a cluster as short jobs: what a person is told where they fail there."""

import getpass
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.cli.commands import submit
from sweeps.cluster.jobs.remote_cli import ANSWER, Answer, relay
from sweeps.cluster.jobs.runtime_env import Shipment
from sweeps.errors import ClusterError, InputError, SweepLocked, UnknownSweep

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import Client

CRASHED = Answer(1, "", "Traceback (most recent call last):\n  File ...\nOSError: [Errno 28] No space left on device\n")


@dataclass
class Cluster:
    """A client of Ray's jobs on a cluster that lists these, and gives each that it gets this state and log.

    Told to end, a job does so when it has been looked at twice more; one that has not ended cannot be deleted.
    """

    log: str = ""
    state: JobStatus = JobStatus.SUCCEEDED
    asked: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    n_looks_until_stopped: int | None = None
    jobs: list[JobDetails] = field(default_factory=list)

    def list_jobs(self) -> list[JobDetails]:
        return self.jobs

    def submit_job(self, *, submission_id: str, entrypoint: str, runtime_env: dict[str, Any], **_: Any) -> str:
        self.asked.append(f"submit {submission_id}")
        self.given.append(entrypoint.partition(" --relay ")[2])
        self.environment = runtime_env["env_vars"]
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
    return cast("Client", Cluster(f"a line of a library\n{ANSWER}{json.dumps(asdict(answer))}\n"))


@pytest.fixture
def named_cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Cluster]:
    """Let RAY_API_SERVER_ADDRESS name a cluster that answers so to every command."""

    def name(answer: Answer) -> Cluster:
        cluster = cast("Cluster", answering(answer))
        monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265")
        monkeypatch.setattr("sweeps.cluster.jobs.client.connect", lambda _address: cluster)
        return cluster

    return name


@pytest.mark.parametrize(
    "command",
    [
        "diagnose mine/0007",
        "diagnose mine --trial 7 --json",
        "evaluate mine",
        f"evaluate {32 * 'a'} --json",
        "promote mine/0007 --model digits --alias champion --json",
        "promote mine --model digits --alias next --trial 7 --seeds 0 --first --dry-run --force",
    ],
)
def test_what_is_asked_of_a_trial_that_is_not_here_is_given_on_the_cluster(
    command: str, named_cluster: Callable[[Answer], Cluster]
) -> None:
    cluster = named_cluster(Answer(1, "what it prints there\n", "and tells\n"))
    done = CliRunner().invoke(app, command.split())
    assert (done.exit_code, done.stdout) == (1, "what it prints there\n")
    assert done.stderr.endswith(f"sweeps: {command.split()[1]} is not here: the cluster is asked\nand tells\n")
    assert cluster.given == [command]


@pytest.mark.parametrize("command", ["diagnose", "evaluate", "promote --model digits"])
def test_address_asks_the_cluster_without_a_look_here(
    command: str, named_cluster: Callable[[Answer], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = named_cluster(Answer(0, "", ""))
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS")
    monkeypatch.setattr("sweeps.tracking.trial_lookup.is_local", lambda _run: pytest.fail("looked here"))
    done = CliRunner().invoke(app, [*command.split(), "mine", "--address", "http://head:8265"])
    assert (done.exit_code, done.stderr) == (0, "sweeps: the cluster is asked\n")
    assert len(cluster.given) == 1


@pytest.mark.parametrize("command", ["diagnose", "evaluate", "promote --model digits"])
def test_a_trial_is_looked_for_here_alone_where_no_cluster_is_named(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "mine/0007"])
    assert isinstance(done.exception, UnknownSweep)
    assert "no sweep 'mine' in " in str(done.exception)


def test_promote_tells_the_cluster_who_asks(named_cluster: Callable[[Answer], Cluster]) -> None:
    cluster = named_cluster(Answer(0, "", ""))
    CliRunner().invoke(app, ["promote", "mine", "--model", "digits"])
    assert cluster.environment["SWEEPS_ASKED_BY"] == f"{getpass.getuser()}@{platform.node()}"


def test_resume_after_a_lost_head_tells_why_the_sweeps_cannot_be_listed() -> None:
    refused = Answer(2, json.dumps({"errors": ["the store must answer", "and so must this"]}), "sweeps: the store\n")
    with pytest.raises(InputError) as told:
        submit.continue_there(answering(refused), "lost", 0, as_json=True)
    assert told.value.issues == ("the store must answer", "and so must this")


@pytest.mark.parametrize("status", [1, 0])
def test_a_command_that_crashes_on_the_cluster_is_told_in_one_line_with_the_reason(status: int) -> None:
    client = answering(Answer(status, CRASHED.output, CRASHED.errors))
    with pytest.raises(ClusterError) as told:
        submit.continue_there(client, "lost", 0, as_json=True)
    expected = f"`sweeps list` must answer on the cluster; it ended with status {status} and said: OSError: [Errno 28]"
    (issue,) = told.value.issues
    assert issue.startswith(expected)


def test_a_command_that_prints_nothing_at_all_is_told_with_its_status() -> None:
    with pytest.raises(ClusterError, match="status -9 and said: nothing"):
        submit.delete_there(answering(Answer(-9, "", "")), "lost", [])


def job_of(sweep: str, number: int = 1, status: JobStatus = JobStatus.FAILED) -> JobDetails:
    job = sweep if number == 1 else f"{sweep}-r{number}"
    return JobDetails(
        type=JobType.SUBMISSION, submission_id=job, status=status, entrypoint="", metadata={"sweeps.sweep": sweep}
    )


@pytest.fixture
def deleting() -> Cluster:
    """A cluster that lists the jobs of two sweeps, and answers as `delete` does there of the first."""
    cluster = cast("Cluster", answering(Answer(0, json.dumps({"sweep": "mine-1", "runs_deleted": 0}), "")))
    cluster.jobs = [job_of("mine-1"), job_of("mine-2"), job_of("mine-1", 2)]
    return cluster


def test_delete_tells_what_the_cluster_refuses_and_keeps_the_jobs(deleting: Cluster) -> None:
    refused = Answer(2, json.dumps({"errors": ["mine-1 holds 3 entries"]}), "")
    deleting.log = f"{ANSWER}{json.dumps(asdict(refused))}\n"
    with pytest.raises(InputError, match="mine-1 holds 3 entries"):
        submit.delete_there(cast("Client", deleting), "mine-1", ["--runs"])
    assert "delete mine-1" not in deleting.asked


def test_delete_takes_all_jobs_of_a_sweep_and_no_other_from_the_clusters_list(deleting: Cluster) -> None:
    plain = submit.delete_there(cast("Client", deleting), "mine-1", ["--runs"])
    assert plain == {"sweep": "mine-1", "runs_deleted": 0}
    assert deleting.given == ["delete mine-1 --missing-ok --runs --json"]
    assert deleting.asked[-2:] == ["delete mine-1", "delete mine-1-r2"]
    assert "delete mine-2" not in deleting.asked


def test_delete_of_what_may_be_either_of_two_submitted_sweeps_deletes_none(deleting: Cluster) -> None:
    with pytest.raises(UnknownSweep, match="must name one sweep"):
        submit.delete_there(cast("Client", deleting), "mine", [])
    assert deleting.asked == []


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
def test_delete_of_a_sweep_that_a_job_runs_is_refused(deleting: Cluster, status: JobStatus) -> None:
    deleting.jobs.append(job_of("mine-1", 3, status))
    with pytest.raises(SweepLocked, match="as the job mine-1-r3: `sweeps stop` ends it"):
        submit.delete_there(cast("Client", deleting), "mine-1", [])
    assert deleting.asked == []


def test_jobs_of_a_sweep_that_was_here_are_taken_from_the_list_of_the_cluster_that_is_named(
    named_cluster: Callable[[Answer], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = named_cluster(Answer(0, "", ""))
    cluster.jobs = [job_of("mine-1"), job_of("mine-2")]
    submit.forget_jobs("mine-1")
    assert cluster.asked == ["delete mine-1"]
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS")
    submit.forget_jobs("mine-2")
    assert cluster.asked == ["delete mine-1"]


def test_a_cluster_that_is_away_is_told_by_what_may_stay_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    submit.forget_jobs("mine-1")
    told = capsys.readouterr().err
    assert told.startswith("sweeps: jobs of mine-1 may stay in the cluster's list: the Ray cluster at ")


def test_delete_of_a_sweep_whose_jobs_were_lost_asks_for_its_folder(deleting: Cluster) -> None:
    deleting.jobs.clear()
    submit.delete_there(cast("Client", deleting), "mine", [])
    assert deleting.given == ["delete mine --json"]


def test_a_job_that_does_not_end_is_told_by_its_id_and_ended_and_forgotten() -> None:
    cluster = Cluster(state=JobStatus.PENDING)
    with pytest.raises(ClusterError, match=r"in 0 s, and has not: its job sweeps-best-.* is PENDING") as told:
        relay(cast("Client", cluster), ["best", "mine"], Shipment(Path()), seconds=0)
    job = cluster.asked[0].removeprefix("submit ")
    assert job in str(told.value)
    assert cluster.asked == [f"submit {job}", f"stop {job}", f"delete {job}"]


def test_a_job_that_nobody_waits_for_any_more_is_ended_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(state=JobStatus.RUNNING)

    def press_control_c(_seconds: float) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeps.cluster.jobs.remote_cli.time.sleep", press_control_c)
    with pytest.raises(KeyboardInterrupt):
        relay(cast("Client", cluster), ["sync", "mine"], Shipment(Path()))
    assert [asked.split()[0] for asked in cluster.asked] == ["submit", "stop", "delete"]


def test_a_job_that_cannot_be_forgotten_hides_neither_an_error_nor_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_cluster: Cluster, _job: str) -> bool:
        raise RuntimeError("not now")

    monkeypatch.setattr(Cluster, "delete_job", refuse)
    with pytest.raises(ClusterError, match="no reason given"):
        relay(cast("Client", Cluster("nothing of ours")), ["best", "mine"], Shipment(Path()))
    answer = Answer(0, "the best", "")
    assert relay(answering(answer), ["best", "mine"], Shipment(Path())) == answer
    assert ["not now" in record.getMessage() for record in caplog.records] == [True, True]
