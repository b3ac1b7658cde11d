"""Commands about a sweep on a cluster: the cluster runs what was typed, and a person sees its answer."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer
from job_cluster import Cluster, job_of, name_cluster
from ray.job_submission import JobStatus
from typer.core import TyperOption
from typer.testing import CliRunner, Result

from sweeps.cli.app import app
from sweeps.cli.commands import remote
from sweeps.cluster.jobs.remote_cli import ANSWER, Answer
from sweeps.cluster.jobs.submissions import all_submitted
from sweeps.errors import InputError, SweepDone, SweepLocked, UnknownSweep
from sweeps.tracking.person import Source, claimed_person
from sweeps.tracking.submission import Submission, current_submission

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import Client

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# With --address, these read the cluster's list of jobs, and run nothing there.
ONLY_ASK = {"list", "status", "logs", "stop", "submit"}
VALUE = "3"  # of a number or a text
ADDRESSES = ([], ["--address", "http://head:8265"], ["--address=http://head:8265"])


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def error_of(*arguments: str) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, InputError)
    return str(result.exception)


def options_of(command: str) -> list[TyperOption]:
    """The options that a user sees in the help of a command."""
    options = [option for option in COMMANDS[command].params if isinstance(option, TyperOption)]
    return [option for option in options if not option.hidden]


def spellings(option: TyperOption) -> list[list[str]]:
    """An option as a user may type it: `--name`, or both `--name VALUE` and `--name=VALUE`."""
    name = option.opts[-1]
    return [[name]] if option.is_flag else [[name, VALUE], [f"{name}={VALUE}"]]


def remote_options() -> Iterator[Any]:
    """Every command that the cluster can run, with each of its options."""
    for command in COMMANDS:
        options = options_of(command)
        if command not in ONLY_ASK and any("--address" in option.opts for option in options):
            for option in options:
                if "--address" not in option.opts:
                    yield pytest.param(command, option, id=f"{command} {option.opts[-1]}")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster that has a sweep whose job has failed, and to which every command prints the result of `delete`."""
    named = name_cluster(monkeypatch, Answer(0, json.dumps({"sweep": "mine-1", "runs_deleted": 0}), ""))
    named.jobs = [job_of("mine-1"), job_of("mine-2"), job_of("mine-1", 2)]
    return named


@pytest.mark.parametrize(("command", "option"), list(remote_options()))
def test_every_option_that_is_typed_reaches_the_cluster_but_the_address(
    cluster: Cluster, command: str, option: TyperOption
) -> None:
    others = [other for other in options_of(command) if other.required and other is not option]
    required = [word for other in others for word in spellings(other)[0]]
    for address, words in zip(ADDRESSES, cycle(spellings(option)), strict=False):
        result = invoke(command, "mine-1", *address, *required, *words)
        assert result.exit_code == 0, result
        _, *given = cluster.given.pop()
        typed = [command, "mine-1", *required, *words]
        assert given[: len(typed)] == typed
        assert set(given[len(typed) :]) <= {"--json", "--missing-ok"}  # what `delete` adds


def test_commands_that_the_cluster_can_run_are_found() -> None:
    found = {parameters.values[0] for parameters in remote_options()}
    assert found == {
        "best",
        "delete",
        "diagnose",
        "evaluate",
        "extend",
        "history",
        "promote",
        "resume",
        "rollback",
        "sync",
    }


@pytest.mark.parametrize(
    "option", [option for option in options_of("submit") if not {"--set", "--address"} & set(option.opts)]
)
def test_every_option_of_submit_but_what_the_sweep_file_holds_reaches_the_run(
    cluster: Cluster, option: TyperOption
) -> None:
    words = ["--set", "budget.trials=2", *spellings(option)[0], "--address", "http://head:8265"]
    assert invoke("submit", "quickstart", *words).exit_code == 0
    sweep, *given = cluster.given[-1]
    assert given == ["run", "sweep.yaml", *spellings(option)[0], "--id", sweep]
    COMMANDS["run"].make_context("run", given[1:])  # accepts what it is given


@pytest.mark.parametrize(
    "command",
    [
        "best mine --top 3",
        "best --top=3 -- mine",
        "sync mine --patience 5",
        "diagnose mine/0007",
        "diagnose mine --trial 7 --json",
        "evaluate mine",
        f"evaluate {32 * 'a'} --json",
        "promote mine/0007 --model digits --alias champion --json",
        "promote mine --model digits --alias next --trial 7 --seeds 0 --first --dry-run --force",
    ],
)
def test_a_command_about_what_is_not_here_runs_on_the_cluster_as_typed(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    cluster = name_cluster(monkeypatch, Answer(1, "what it prints there\n", "and logs\n"))
    result = invoke(*command.split())
    assert (result.exit_code, result.stdout) == (1, "what it prints there\n")
    assert "not found locally; asking the cluster\nand logs\n" in result.stderr
    assert cluster.commands == [command]


@pytest.mark.parametrize("command", ["best", "diagnose", "evaluate", "promote --model digits"])
def test_with_an_address_the_cluster_is_asked_without_a_search_here(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    cluster = name_cluster(monkeypatch, Answer(0, "", ""))
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS")
    monkeypatch.setattr("sweeps.storage.layout.all_folders", lambda: pytest.fail("searched here"))
    result = invoke(*command.split(), "mine", "--address", "http://head:8265")
    assert (result.exit_code, result.stderr) == (0, "sweeps: asking the cluster\n")
    assert cluster.commands == [f"{command} mine"]


@pytest.mark.parametrize("command", ["best", "resume", "diagnose", "evaluate", "promote --model digits"])
def test_without_a_cluster_a_sweep_is_searched_for_here_alone(command: str) -> None:
    assert "no sweep 'mine' in " in error_of(*command.split(), "mine")


def test_without_a_cluster_a_sweep_of_the_mlflow_server_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "no sweep 'mine' in " in error_of("best", "mine")


@pytest.mark.parametrize("command", ["promote mine --model digits", "rollback digits", "history digits"])
def test_the_cluster_gets_the_name_of_the_user_whatever_variables_say(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LOGNAME", "ceo")
    cluster = name_cluster(monkeypatch, Answer(0, "", ""))
    invoke(*command.split())
    assert cluster.environment["SWEEPS_ASKED_BY"] == claimed_person().name


@pytest.mark.parametrize(
    "command", ["history digits --verify", "history digits --alias next --json", "rollback digits"]
)
def test_the_log_of_a_named_cluster_is_read_and_written_there(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    cluster = name_cluster(monkeypatch, Answer(1, "what it prints there\n", ""))
    result = invoke(*command.split())
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "what it prints there\n",
        "sweeps: asking the cluster\n",
    )
    assert cluster.commands == [command]


@pytest.mark.parametrize(
    "command", ["submit quickstart --address http://head:8265", "resume mine-1", "extend mine-1 --trials 3"]
)
def test_a_job_gets_who_submits_it_and_from_which_commit(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LOGNAME", "ceo")
    assert invoke(*command.split()).exit_code == 0
    mine = current_submission(None)
    assert Submission.from_json(cluster.environment["SWEEPS_SUBMISSION"]) == mine
    assert (mine.by, mine.source) == (claimed_person().name, Source.CLAIMED)
    assert cluster.metadata.items() >= mine.to_tags().items()
    assert cluster.metadata["sweeps.owner"] != "ceo"


def test_what_the_metadata_of_a_job_say_is_a_claim_on_one_line(cluster: Cluster) -> None:
    named = job_of("mine-3")
    assert named.metadata is not None
    named.metadata |= {"sweeps.owner": "ann\x1b[2J\n" + 1000 * "n", "sweeps.trials": "9" * 5000}
    named.metadata |= {"sweeps.submitted_by": "ceo\x1b]0;", "sweeps.submitted_by_source": "MLflow account"}
    cluster.jobs = [named, job_of("mine-1")]
    found = {submitted.sweep: submitted for submitted in all_submitted(cast("Client", cluster))}
    assert found["mine-3"].owner == "ann[2J" + 192 * "n"
    assert found["mine-3"].n_trials is None
    assert found["mine-3"].submitted == {
        "by": "ceo]0;",
        "source": "claimed",
        "commit": None,
        "dirty": None,
        "version": None,
    }
    assert found["mine-1"].submitted is None  # an earlier version submitted it


@pytest.mark.parametrize("typed", ["extend mine-1 --trials 3 --json", "extend --trials=3 -- mine-1"])
def test_extend_submits_a_job_under_the_next_number(cluster: Cluster, typed: str) -> None:
    assert invoke(*typed.split()).exit_code == 0
    assert cluster.asked == ["submit mine-1-r3"]
    assert cluster.given == [["mine-1", *typed.replace("-- ", "").split()]]


def test_the_whole_id_replaces_the_beginning_of_one_and_no_value_of_an_option(cluster: Cluster) -> None:
    cluster.jobs = [job_of("3-mine")]
    assert invoke("extend", "--trials", "3", "3").exit_code == 0
    assert cluster.given == [["3-mine", "extend", "--trials", "3", "3-mine"]]


def test_resume_of_a_sweep_that_has_finished_is_refused(cluster: Cluster) -> None:
    cluster.jobs = [job_of("mine-1", status=JobStatus.SUCCEEDED)]
    result = invoke("resume", "mine-1")
    assert isinstance(result.exception, SweepDone)
    assert "`sweeps extend mine-1 --trials N`" in str(result.exception)


def test_resume_without_a_list_of_jobs_raises_why_the_sweeps_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Answer(2, json.dumps({"errors": ["the store must answer", "and so must this"]}), "sweeps: the store\n")
    cluster = name_cluster(monkeypatch, refused)
    assert error_of("resume", "lost", "--json") == "the store must answer\nand so must this"
    assert cluster.commands == ["list --json"]


def test_delete_raises_what_the_cluster_refuses_and_keeps_the_jobs(cluster: Cluster) -> None:
    refused = Answer(2, json.dumps({"errors": ["mine-1 holds 3 entries"]}), "")
    cluster.log = f"{ANSWER}{json.dumps(asdict(refused))}\n"
    assert "mine-1 holds 3 entries" in error_of("delete", "mine-1", "--runs")
    assert "delete mine-1" not in cluster.asked


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_delete_removes_all_jobs_of_a_sweep_and_no_other_from_the_clusters_list(
    cluster: Cluster, as_json: list[str]
) -> None:
    result = invoke("delete", "mine-1", "--runs", *as_json)
    plain = {"sweep": "mine-1", "runs_deleted": 0}
    assert (json.loads(result.stdout) if as_json else result.stdout) == (
        plain if as_json else "deleted mine-1 and 0 runs in MLflow\n"
    )
    assert cluster.commands == ["delete mine-1 --runs --json --missing-ok"]
    assert cluster.asked[-2:] == ["delete mine-1", "delete mine-1-r2"]
    assert "delete mine-2" not in cluster.asked


def test_delete_of_what_may_be_either_of_two_submitted_sweeps_deletes_none(cluster: Cluster) -> None:
    result = invoke("delete", "mine")
    assert isinstance(result.exception, UnknownSweep)
    assert "must name one sweep" in str(result.exception)
    assert cluster.asked == []


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
@pytest.mark.parametrize("command", ["delete", "resume"])
def test_a_sweep_that_a_job_runs_is_neither_deleted_nor_resumed(
    cluster: Cluster, command: str, status: JobStatus
) -> None:
    cluster.jobs.append(job_of("mine-1", 3, status))
    result = invoke(command, "mine-1")
    assert isinstance(result.exception, SweepLocked)
    assert f"its job mine-1-r3 is {status.value}: stop it with `sweeps stop mine-1`" in str(result.exception)
    assert cluster.asked == []


def test_delete_of_a_sweep_whose_jobs_were_lost_asks_for_its_folder(cluster: Cluster) -> None:
    cluster.jobs.clear()
    invoke("delete", "mine")
    assert cluster.commands == ["delete mine --json"]


def test_jobs_of_a_sweep_that_was_here_are_removed_from_the_list_of_the_cluster_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = name_cluster(monkeypatch, Answer(0, "", ""))
    cluster.jobs = [job_of("mine-1"), job_of("mine-2")]
    remote.forget_jobs("mine-1")
    assert cluster.asked == ["delete mine-1"]
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS")
    remote.forget_jobs("mine-2")
    assert cluster.asked == ["delete mine-1"]


def test_jobs_that_an_unreachable_cluster_may_still_list_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    remote.forget_jobs("mine-1")
    printed = capsys.readouterr().err
    assert printed.startswith("sweeps: jobs of mine-1 may remain in the cluster's list: the Ray cluster at ")


@pytest.mark.parametrize(
    ("typed", "sweep"), [("latest", "mine-20260102-000000-bbbb"), ("other", "other-20260101-000000-aaaa")]
)
def test_the_newest_submitted_sweep_is_named_by_latest_or_its_name(cluster: Cluster, typed: str, sweep: str) -> None:
    cluster.jobs = [job_of("other-20260101-000000-aaaa"), job_of("mine-20260102-000000-bbbb")]
    result = invoke("extend", typed, "--trials", "3")
    assert cluster.given == [[sweep, "extend", sweep, "--trials", "3"]]
    assert f"sweeps: {typed} is {sweep}\n" in result.stderr
    assert f"sweeps: {typed} is {sweep}\n" in invoke("logs", typed).stderr


def test_the_newest_sweep_of_a_cluster_that_lost_its_jobs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["mine-20260101-000000-aaaa", "mine-20260102-000000-bbbb"]
    listed = [{"sweep": sweep, "state": "INTERRUPTED", "trials": 4, "to_come": 0} for sweep in ids]
    cluster = name_cluster(monkeypatch, Answer(0, json.dumps({"sweeps": listed}), ""))
    assert invoke("resume", "mine").exit_code == 0
    assert cluster.given[-1] == [ids[1], "resume", ids[1]]


def test_delete_of_the_newest_submitted_sweep_needs_its_id(cluster: Cluster) -> None:
    cluster.jobs = [job_of("mine-20260101-000000-aaaa"), job_of("mine-20260102-000000-bbbb")]
    assert "must name one sweep" in error_of("delete", "mine")
    assert cluster.asked == []


def test_a_list_says_why_a_submitted_sweep_failed(cluster: Cluster) -> None:
    cluster.jobs = [job_of("mine-1"), job_of("mine-2", status=JobStatus.RUNNING)]
    cluster.log = "a line of a library\nsweeps: cpus_per_trial must fit one host\n"
    lines = invoke("list", "--address", "http://head:8265").stdout.splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("mine-1 FAILED on the cluster"))
    assert lines[place + 1] == "  when its job ended: cpus_per_trial must fit one host"
    assert [line for line in lines if "must fit" in line] == [lines[place + 1]]


def test_a_list_says_that_the_log_of_a_failed_sweep_is_lost(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_job: str) -> str:
        raise RuntimeError("the node is gone")

    monkeypatch.setattr(cluster, "get_job_logs", lost)
    listed = json.loads(invoke("list", "--json", "--address", "http://head:8265").stdout)
    assert [sweep["told"] for sweep in listed["submitted"]] == [
        "the cluster failed to return the log of a job: the node is gone"
    ] * 2
