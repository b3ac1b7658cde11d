"""The name of what ended a trial's training."""

import pytest

from sweeps.search.stopping import DIVERGED, STOPPED_BY, STOPPED_EARLY, stopped_by


@pytest.mark.parametrize(
    ("state", "tags", "name"),
    [
        ("RUNNING", {}, None),
        ("FINISHED", {"sweeps.host": "here"}, "all epochs"),
        ("FINISHED", {STOPPED_EARLY: "asha"}, "asha"),
        ("FINISHED", {STOPPED_EARLY: "budget.seconds"}, "budget.seconds"),
        ("FAILED", {STOPPED_BY: DIVERGED}, "diverged"),
        ("FAILED", {}, "error"),
        ("KILLED", {}, "interrupted"),
    ],
)
def test_end_of_a_training_has_a_name(state: str, tags: dict[str, str], name: str | None) -> None:
    assert stopped_by(state, tags) == name
