"""The patience rule: when a training that no longer improves is stopped."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ObjectiveConfig
from sweeps.search.patience import Patience

ERROR = ObjectiveConfig(metric="valid/mse")
R2 = ObjectiveConfig(metric="valid/r2")


def last_epoch(n_epochs: int | None, values: list[float], objective: ObjectiveConfig = ERROR) -> int | None:
    """The epoch that stops a training with these values from epoch 1 on."""
    patience = Patience(n_epochs, objective)
    epochs = (epoch for epoch, value in enumerate(values, 1) if patience.is_over(epoch, {objective.metric: value}))
    return next(epochs, None)


def test_a_training_that_never_improves_stops_after_its_patience() -> None:
    assert last_epoch(10, [0.5] * 40) == 10


def test_an_improvement_extends_the_training_to_twice_its_epoch() -> None:
    assert last_epoch(10, [0.5] * 7 + [0.4] * 40) == 16
    assert last_epoch(10, [0.5] * 3 + [0.4] * 40) == 10


def test_an_improvement_below_half_a_percent_extends_nothing() -> None:
    assert last_epoch(10, [0.5] * 7 + [0.4976] * 40) == 10
    assert last_epoch(10, [0.5] * 7 + [0.4974] * 40) == 16


def test_small_improvements_raise_the_value_that_the_next_must_beat() -> None:
    values = [1.0] * 5 + [0.996, 0.992, 0.9885] + [0.9885] * 40  # each less than half a percent below the last
    assert last_epoch(10, values) == 10


def test_a_maximized_objective_improves_upward() -> None:
    assert last_epoch(10, [0.5] * 7 + [0.6] * 40, R2) == 16
    assert last_epoch(10, [-0.5] * 7 + [-0.4] * 40, R2) == 16
    assert last_epoch(10, [0.5] * 7 + [0.4] * 40, R2) == 10


def test_without_patience_a_training_never_stops() -> None:
    assert last_epoch(None, [0.5] * 400) is None


def test_an_epoch_without_the_objective_stops_nothing() -> None:
    patience = Patience(2, ERROR)
    assert not patience.is_over(2, {"train/loss": 0.1})
    assert not patience.is_over(3, {"valid/mse": 0.5})
    assert patience.is_over(6, {"valid/mse": 0.5})


errors = st.lists(st.floats(1e-6, 1e6), min_size=30, max_size=60)


@given(st.integers(1, 20), errors)
def test_the_end_is_no_earlier_than_patience_and_twice_the_epoch_of_an_improvement(n: int, values: list[float]) -> None:
    end = last_epoch(n, values) or math.inf
    assert end >= n
    best = math.inf
    for epoch, value in enumerate(values, 1):
        if epoch <= end and value < 0.99 * best:
            assert end >= 2 * epoch
        best = min(best, value)


@given(st.integers(1, 20), errors, st.integers(1, 29))
def test_a_training_restored_from_its_state_stops_as_if_uninterrupted(n: int, values: list[float], cut: int) -> None:
    whole, first, second = Patience(n, ERROR), Patience(n, ERROR), Patience(n, ERROR)
    expected = [whole.is_over(epoch, {"valid/mse": value}) for epoch, value in enumerate(values, 1)]
    for epoch, value in enumerate(values[:cut], 1):
        first.is_over(epoch, {"valid/mse": value})
    second.restore(first.state())
    rest = [second.is_over(epoch, {"valid/mse": value}) for epoch, value in enumerate(values[cut:], cut + 1)]
    assert rest == expected[cut:]


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_values_of_any_sign_are_compared(value: float) -> None:
    assert last_epoch(4, [value] * 20) == 4
