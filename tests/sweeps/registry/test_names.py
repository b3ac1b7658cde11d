"""The names that the registry accepts, and the person who is recorded with a move of an alias."""

import os
import platform
import pwd

import pytest

from sweeps.errors import InputError
from sweeps.registry.names import check_names, who

STORE = "sqlite:///mlflow.db"


@pytest.mark.parametrize("name", ["", "a/b", "it's", " a", "a\n", "ä", "a" * 101])
def test_a_model_name_that_mlflow_does_not_accept_is_refused(name: str) -> None:
    with pytest.raises(InputError) as refusal:
        check_names(name, "champion")
    (issue,) = refusal.value.issues
    assert issue.startswith("a model's name must be up to 100 letters")


@pytest.mark.parametrize("alias", ["", "latest", "LATEST", "v3", "V12", "3", "a b", "a.b", "-a", "a" * 51])
def test_an_alias_that_mlflow_does_not_accept_is_refused(alias: str) -> None:
    with pytest.raises(InputError) as refusal:
        check_names("digits", alias)
    (issue,) = refusal.value.issues
    assert issue.startswith("an alias must be up to 50 letters")


def test_both_names_are_reported_and_good_ones_pass() -> None:
    with pytest.raises(InputError) as refusal:
        check_names("a/b", "latest")
    assert len(refusal.value.issues) == 2
    for model, alias in (("a", "a"), ("My model_1.0-b", "v3x"), ("a" * 100, "a" * 50), ("9", "latest-2")):
        check_names(model, alias)


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
