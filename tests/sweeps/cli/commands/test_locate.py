"""Where a sweep lies: searched for once a command."""

import csv
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from job_cluster import name_cluster
from typer.testing import CliRunner

from sweeps.cli.app import app
from sweeps.cli.commands.locate import Elsewhere, find_run, find_sweep
from sweeps.cluster.jobs.remote_cli import Answer
from sweeps.config import SweepConfig
from sweeps.errors import UnknownSweep
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord

SWEEP = "small-20260101-000000-abcd"
STORED = Path(__file__).parents[3] / "fixtures" / "sweeps-0.1.0.tar.gz"
FINISHED = "finished-20261130-112751-2102"


@pytest.fixture
def folder(own_home: Path, small_sweep: Any) -> SweepFolder:
    """A sweep on this machine that has no trial yet."""
    config: SweepConfig = small_sweep()
    found = SweepFolder(own_home / "sweeps" / SWEEP)
    Journal.create(found.journal, SweepRecord(SWEEP, "small", "small", config.to_dict(), 0)).close()
    return found


@pytest.fixture
def finished(own_home: Path) -> SweepFolder:
    """A finished sweep of four trials on this machine, whose runs are in the current store."""
    with tarfile.open(STORED) as archive:
        archive.extractall(own_home, filter="data")
    found = SweepFolder(own_home / "sweeps" / FINISHED)
    with Journal.open(found.journal) as journal:
        journal.delivery.deliver_to(os.environ["MLFLOW_TRACKING_URI"])
    return found


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for each time that this machine was searched."""
    made: list[str] = []
    list_folders = layout.all_folders

    def all_folders() -> list[SweepFolder]:
        made.append("search")
        return list_folders()

    monkeypatch.setattr(layout, "all_folders", all_folders)
    return made


@pytest.mark.parametrize("command", ["status", "best", "diagnose", "evaluate", "promote --model digits", "stop"])
@pytest.mark.parametrize("names_cluster", [False, True])
def test_a_command_searches_this_machine_once(
    folder: SweepFolder, searches: list[str], monkeypatch: pytest.MonkeyPatch, command: str, names_cluster: bool
) -> None:
    if names_cluster:
        cluster = name_cluster(monkeypatch, Answer(0, "", ""))
    done = CliRunner().invoke(app, [*command.split(), folder.id[:8]])
    assert not isinstance(done.exception, UnknownSweep)
    assert searches == ["search"]
    assert not names_cluster or cluster.asked == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("evaluate", {"sweep": FINISHED, "n_samples": 359}),
        ("promote --model digits --first --dry-run", {"sweep": FINISHED, "verdict": "would be refused"}),
    ],
)
def test_a_command_that_loads_a_network_searches_this_machine_once(
    finished: SweepFolder, searches: list[str], command: str, printed: dict[str, Any]
) -> None:
    done = CliRunner().invoke(app, [*command.split(), finished.id, "--json"])
    assert json.loads(done.stdout).items() >= printed.items()
    assert searches == ["search"]


@pytest.mark.parametrize("find", [find_sweep, find_run])
def test_a_sweep_of_this_machine_is_found_before_a_cluster_is_asked(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, find: Any
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    found = find(SWEEP, None)
    assert getattr(found, "folder", found) == folder
    assert isinstance(find("other", None), Elsewhere)
    assert isinstance(find(SWEEP, "http://head:8265"), Elsewhere)


def test_an_mlflow_server_may_know_a_sweep_but_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    sweep = find_sweep("other", None)
    assert isinstance(sweep, Elsewhere)
    with pytest.raises(UnknownSweep):
        sweep.connect()
    with pytest.raises(UnknownSweep):
        find_run("other", None)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("typed", ["latest", "small"])
def test_the_sweep_that_a_name_means_is_printed_apart_from_the_result(typed: str) -> None:
    done = CliRunner().invoke(app, ["status", typed, "--json"])
    assert json.loads(done.stdout)["sweep"] == SWEEP
    assert done.stderr == f"sweeps: {typed} is {SWEEP}\n"


@pytest.mark.usefixtures("folder")
def test_an_id_or_its_beginning_is_not_repeated() -> None:
    for typed in (SWEEP, SWEEP[:-2]):
        assert CliRunner().invoke(app, ["status", typed, "--json"]).stderr == ""


@pytest.mark.usefixtures("finished")
def test_a_trial_of_the_newest_sweep_of_a_name_is_named_by_both() -> None:
    done = CliRunner().invoke(app, ["diagnose", "finished/0002", "--json"])
    assert json.loads(done.stdout).items() >= {"sweep": FINISHED, "trial": "0002"}.items()
    assert f"finished is {FINISHED}" in done.stderr


def test_delete_takes_no_latest(folder: SweepFolder) -> None:
    done = CliRunner().invoke(app, ["delete", "latest"])
    assert f"the newest is {SWEEP}" in str(done.exception)
    assert folder.is_sweep


@pytest.mark.usefixtures("finished")
def test_rankings_and_lists_are_printed_as_csv() -> None:
    ranking = list(csv.DictReader(io.StringIO(CliRunner().invoke(app, ["best", "finished", "--csv"]).stdout)))
    assert [row["rank"] for row in ranking] == ["1", "2", "3", "4"]
    assert {row["stopped_by"] for row in ranking} == {"all epochs"}
    errors = [float(row["valid/mse"]) for row in ranking]
    assert errors == sorted(errors)
    top = CliRunner().invoke(app, ["best", "finished", "--csv", "--top", "2"]).stdout
    assert len(top.splitlines()) == 3
    listed = list(csv.DictReader(io.StringIO(CliRunner().invoke(app, ["list", "--csv"]).stdout)))
    assert FINISHED in [row["sweep"] for row in listed]


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("command", ["best finished", "list"])
def test_one_form_is_printed_at_a_time(command: str) -> None:
    assert "valid/mse" in CliRunner().invoke(app, [*command.split(), "--wide"]).stdout
    done = CliRunner().invoke(app, [*command.split(), "--wide", "--json"])
    assert "--json and --wide must not be given together" in str(done.exception)


@pytest.mark.usefixtures("finished")
def test_a_ranking_is_printed_as_markdown() -> None:
    heading, line, first, *_ = CliRunner().invoke(app, ["best", "finished", "--markdown"]).stdout.splitlines()
    assert heading.startswith("| rank | trial | state |")
    assert line.count("|") == heading.count("|") == first.count("|")
    assert first.startswith("| 1 | ")
    done = CliRunner().invoke(app, ["best", "finished", "--markdown", "--csv"])
    assert "--csv and --markdown must not be given together" in str(done.exception)
