"""A command that runs on the cluster for a user on another machine."""

import json

import pytest

from sweeps.cluster.jobs.remote_cli import ANSWER, Answer
from sweeps.cluster.jobs.remote_cli_entry import run


def answer(capfd: pytest.CaptureFixture[str]) -> Answer:
    (line,) = capfd.readouterr().out.splitlines()
    return Answer(**json.loads(line.removeprefix(ANSWER)))


def test_answer_holds_what_was_printed_and_the_exit_status(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    listed = answer(capfd)
    assert (listed.status, listed.errors, json.loads(listed.output)["sweeps"]) == (0, "", [])


def test_a_sweep_that_is_not_there_is_searched_for_nowhere_else(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    assert run(["best", "absent"]) == 0
    refused = answer(capfd)
    assert (refused.status, refused.output) == (2, "")
    assert refused.errors.startswith("sweeps: no sweep 'absent' in ")
