"""What a person sees of sweeps on a cluster."""

from collections.abc import Callable

import pytest

from sweeps.cli.display.listing import print_elsewhere
from sweeps.cluster.jobs.submitted_sweep import JobState, SubmittedSweep

Shown = Callable[..., list[str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """The lines that `status` prints of a submitted sweep in this state, whose job has logged this line last."""

    def show(state: JobState, last_line: str | None) -> list[str]:
        print_elsewhere([SubmittedSweep("mine", "mine", 1, state, "ann", 4, 0, last_line)], [])
        return capsys.readouterr().out.splitlines()

    return show


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.FAILED, JobState.INTERRUPTED])
def test_the_last_line_of_a_job_that_has_ended_is_of_when_it_ended(state: JobState, shown: Shown) -> None:
    line = "FINISHED: 4 of 4 trials ended, 0 failed; 116 undelivered MLflow records"
    assert shown(state, line) == [f"mine {state} on the cluster (owner: ann)", f"  when its job ended: {line}"]


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING])
def test_the_last_line_of_a_running_job_is_its_newest(state: JobState, shown: Shown) -> None:
    line = "1 of 4 trials ended, 0 failed, 2 running"
    assert shown(state, line) == [f"mine {state} on the cluster (owner: ann)", f"  newest log line: {line}"]


def test_a_job_that_has_logged_nothing_has_no_such_line(shown: Shown) -> None:
    assert shown(JobState.PENDING, None) == ["mine PENDING on the cluster (owner: ann)"]


def test_the_json_form_names_the_last_line_as_before() -> None:
    plain = SubmittedSweep("mine", "mine", 1, JobState.RUNNING, "ann", 4, 0, "1 of 4 trials ended").to_dict()
    assert plain["told"] == "1 of 4 trials ended"
    assert "last_line" not in plain
