"""The person who is recorded with a move of an alias."""

import os
import platform
import pwd

import pytest

from sweeps.registry.names import who

STORE = "sqlite:///mlflow.db"


def test_who_is_the_user_of_the_process_and_the_host_whatever_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "ceo")
    assert str(who(STORE)) == f"{pwd.getpwuid(os.getuid()).pw_name}@{platform.node()} (claimed)"


def test_who_is_the_user_of_another_machine_if_a_command_runs_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEPS_ASKED_BY", "ann@laptop")
    assert str(who(STORE)) == "ann@laptop (claimed)"


def test_a_name_from_another_machine_is_one_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPS_ASKED_BY", "ann\x1b[2J\n\u202e" + 1000 * "n")
    assert who(STORE).name == "ann[2J" + 191 * "n"
    monkeypatch.setenv("SWEEPS_ASKED_BY", "\x07\n")
    assert who(STORE).name != ""
