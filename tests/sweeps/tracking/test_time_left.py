"""How long a trial is expected to train."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.tracking.time_left import Survival, Trained

N_EPOCHS = 27


def test_without_early_stops_every_epoch_is_to_come() -> None:
    assert Survival([]).remaining(0, 20) == 20
    assert Survival([Trained(5, is_stopped=False), Trained(20, is_stopped=False)]).remaining(5, 20) == 15


def test_trials_are_stopped_as_often_as_those_before_them() -> None:
    # Of three trials, two are stopped at epoch 3, and one trains all 27.
    survival = Survival([Trained(3, is_stopped=True), Trained(3, is_stopped=True), Trained(27, is_stopped=False)])
    assert survival.remaining(0, 27) == pytest.approx(3 + 24 / 3)
    assert survival.remaining(3, 27) == pytest.approx(24)  # this one has passed the rung


def test_a_running_trial_counts_as_one_that_got_that_far() -> None:
    survival = Survival([Trained(3, is_stopped=True), Trained(10, is_stopped=False)])
    assert survival.remaining(0, 27) == pytest.approx(3 + 24 / 2)


def test_a_trial_that_runs_where_all_others_were_stopped_may_run_to_its_end() -> None:
    assert Survival([Trained(3, is_stopped=True)]).remaining(5, 27) == 22


@given(st.lists(st.integers(1, N_EPOCHS), min_size=1, max_size=50))
def test_once_all_have_ended_the_expectation_is_their_mean(epochs: list[int]) -> None:
    # Without censored trials, the area under the Kaplan-Meier curve is the mean of the lifetimes.
    survival = Survival([Trained(epoch, is_stopped=epoch < N_EPOCHS) for epoch in epochs])
    assert survival.remaining(0, N_EPOCHS) == pytest.approx(sum(epochs) / len(epochs))
