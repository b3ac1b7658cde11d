"""The user who is recorded with a move of an alias."""

import getpass
import platform

import pytest

from sweeps.registry.names import who


def test_who_is_the_person_and_the_host() -> None:
    assert who() == f"{getpass.getuser()}@{platform.node()}"


def test_who_is_the_user_of_another_machine_if_a_command_runs_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEPS_ASKED_BY", "ann@laptop")
    assert who() == "ann@laptop"
