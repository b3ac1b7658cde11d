"""Sweeps that are not here: what a person is told of them."""

from collections.abc import Callable

import pytest

from sweeps.cli.display import terminal
from sweeps.cluster.jobs.submissions import JobState, SubmittedSweep

Shown = Callable[..., list[str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """The lines that `status` prints of a submitted sweep in a state, of which this has been told."""

    def show(state: JobState, told: str | None) -> list[str]:
        terminal.elsewhere([SubmittedSweep("mine", "mine", 1, state, "ann", 4, 0, told)], [])
        return capsys.readouterr().out.splitlines()

    return show


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.FAILED, JobState.INTERRUPTED])
def test_what_a_job_told_last_is_of_when_it_ended(state: JobState, shown: Shown) -> None:
    told = "FINISHED: 4 of 4 trials ended, 0 failed; MLflow has yet to get 116 entries"
    assert shown(state, told) == [f"mine {state} on the cluster (of ann)", f"  when its job ended: {told}"]


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING])
def test_what_a_job_tells_while_it_runs_is_the_last_thing_it_told(state: JobState, shown: Shown) -> None:
    told = "1 of 4 trials ended, 0 failed, 2 running"
    assert shown(state, told) == [f"mine {state} on the cluster (of ann)", f"  its job last told: {told}"]


def test_a_job_that_has_told_nothing_has_no_such_line(shown: Shown) -> None:
    assert shown(JobState.PENDING, None) == ["mine PENDING on the cluster (of ann)"]
