"""The figures of a quote: what a budget leaves of the training."""

from collections.abc import Callable

import pytest

from sweeps.config import SweepConfig
from sweeps.quote.assembly import trained_part


@pytest.mark.parametrize(
    ("budget", "part", "ended_by"),
    [
        ({}, 1.0, None),
        ({"seconds": 25.0}, 0.25, "budget.seconds"),
        ({"seconds": 100.0}, 1.0, None),
        ({"device_hours": 0.5}, 0.125, "budget.device_hours"),
        ({"device_hours": 2.0, "seconds": 25.0}, 0.25, "budget.seconds"),
        ({"device_hours": 5.0}, 1.0, None),
    ],
)
def test_a_budget_shortens_the_training_alone(
    small_sweep: Callable[..., SweepConfig], budget: dict[str, float], part: float, ended_by: str | None
) -> None:
    config = small_sweep(budget={"trials": 2, **budget})
    assert trained_part(config, seconds=100.0, device_hours=4.0) == (part, ended_by)
