"""Who submitted a sweep, and from which commit."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.tracking.person import Source, claimed_person
from sweeps.tracking.submission import (
    SUBMISSION_VARIABLE,
    Submission,
    current_submission,
    described,
    resume_tags,
    trial_tags,
)

WHOLE = Submission("ann", Source.ACCOUNT, "c0ffee1" * 5, True, "0.1.0", {"mlflow.source.git.commit": "abc1234"})


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, a git repository with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    git(tmp_path, "add", "mine.yaml")
    git(tmp_path, "commit", "-q", "-m", "one")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_submission_has_the_commit_of_the_folder_where_it_was_typed(repository: Path) -> None:
    submission = current_submission(None)
    assert (submission.by, submission.source) == (claimed_person().name, Source.CLAIMED)
    assert (submission.commit, submission.dirty) == (git(repository, "rev-parse", "HEAD"), False)
    (repository / "mine.yaml").write_text("name: other\n")
    assert current_submission(None).dirty is True


def test_the_repository_cannot_run_a_program(repository: Path) -> None:
    (repository / "monitor.sh").write_text(f"#!/bin/sh\ntouch {repository}/ran\n")
    (repository / "monitor.sh").chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(repository / "monitor.sh"))
    current_submission(None)
    assert not (repository / "ran").exists()


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (current_submission(None).commit, current_submission(None).dirty) == (None, None)


def test_the_tags_of_a_run_hold_a_submission() -> None:
    assert WHOLE.to_tags() == {
        "sweeps.submitted_by": "ann",
        "sweeps.submitted_by_source": "MLflow account",
        "sweeps.submitted_commit": "c0ffee1" * 5,
        "sweeps.submitted_dirty": "true",
        "sweeps.submitted_version": "0.1.0",
        "mlflow.source.git.commit": "abc1234",
    }
    assert described(WHOLE.to_tags()) == WHOLE.to_dict()
    assert described({"mlflow.user": "ann"}) is None


def test_what_a_machine_sent_is_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SUBMISSION_VARIABLE, WHOLE.to_json())
    sent = current_submission("http://127.0.0.1:9")
    assert sent == Submission("ann", Source.CLAIMED, WHOLE.commit, True, "0.1.0", WHOLE.code)
    assert trial_tags(sent.to_tags() | {"mlflow.user": "ann"}) == sent.to_tags()


@pytest.mark.parametrize("sent", ["", "{", "[]", "3", '{"by": 3}', "[" * 100_000])
def test_a_damaged_submission_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch, sent: str) -> None:
    monkeypatch.setenv(SUBMISSION_VARIABLE, sent)
    assert current_submission(None).by == claimed_person().name


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300), lambda inner: st.lists(inner, max_size=2)
)
KEYS = ("by", "source", "commit", "dirty", "version", "code")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, ANYTHING | st.dictionaries(st.text(), ANYTHING))))
def test_whatever_is_sent_gives_short_printable_tags(plain: dict[str, Any]) -> None:
    submission = Submission.from_json(json.dumps(plain))
    if submission is not None:
        assert submission.source is Source.CLAIMED
        assert submission.by
        assert all(len(value) <= 200 and value.isprintable() for value in submission.to_tags().values())


def test_who_resumes_a_sweep_is_recorded_unless_it_is_who_started_it_last() -> None:
    me = claimed_person().name
    assert resume_tags({"sweeps.submitted_by": me}, None) == {}
    assert resume_tags({"sweeps.submitted_by": "ann"}, None) == {
        "sweeps.resumed_by": me,
        "sweeps.resumed_by_source": "claimed",
    }
    assert resume_tags({"sweeps.submitted_by": "ann", "sweeps.resumed_by": me}, None) == {}
    assert resume_tags({"sweeps.submitted_by": me, "sweeps.resumed_by": "ann"}, None)["sweeps.resumed_by"] == me
    assert resume_tags({}, None)["sweeps.resumed_by"] == me  # a sweep of an earlier version
