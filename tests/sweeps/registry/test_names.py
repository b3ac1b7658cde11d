"""Who is told to have moved an alias."""

import getpass
import platform

import pytest

from sweeps.registry.names import who


def test_who_is_the_person_and_the_host() -> None:
    assert who() == f"{getpass.getuser()}@{platform.node()}"


def test_who_is_the_one_who_asked_from_elsewhere_where_a_command_is_given_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEPS_ASKED_BY", "ann@laptop")
    assert who() == "ann@laptop"
