"""The arithmetic of a quote, against a simulated training and brute force."""

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.quote.prediction import Cost, expected_epochs, interpolated, interval, makespan, pack_cost, phase_cost

SECONDS = st.floats(0.001, 10)


@dataclass
class Epoch:
    n_steps: int
    step_seconds: float
    other_seconds: float


@dataclass
class Phase:
    index: int
    n_points: int
    n_steps: int
    setup_seconds: float
    epochs: list[Epoch] = field(default_factory=list)


def simulated(n_epochs: int, n_steps: int, costs: "Costs", every: int = 1, limit: int | None = None) -> Phase:
    """A clock that ticks as a training does: steps, validation, and a snapshot at powers of two."""
    trained = n_steps if limit is None else min(limit, n_steps)
    phase = Phase(0, 1, n_steps, costs.setup)
    for epoch in range(1, n_epochs + 1):
        other = costs.validation * (epoch % every == 0 or epoch == n_epochs)
        other += costs.snapshot * (epoch & (epoch - 1) == 0 and epoch < n_epochs)
        phase.epochs.append(Epoch(trained, trained * costs.step, other))
    return phase


@dataclass(frozen=True)
class Costs:
    setup: float
    step: float
    validation: float
    snapshot: float

    def seconds(self, n_epochs: int, n_steps: int) -> float:
        """What the simulated clock shows at the end of a whole training."""
        whole = simulated(n_epochs, n_steps, self)
        return self.setup + sum(epoch.step_seconds + epoch.other_seconds for epoch in whole.epochs)


@given(SECONDS, SECONDS, SECONDS, SECONDS, st.integers(8, 300), st.integers(1, 500))
def test_a_few_steps_predict_a_whole_simulated_training(
    setup: float, step: float, validation: float, snapshot: float, n_epochs: int, n_steps: int
) -> None:
    costs = Costs(setup, step, validation, snapshot)
    cost = phase_cost(simulated(4, n_steps, costs, limit=8))
    actual = costs.seconds(n_epochs, n_steps)
    # The first epoch's snapshot counts as part of the first epoch, the last epoch has none.
    assert cost.seconds(n_epochs) == pytest.approx(actual, abs=2 * snapshot + 1e-9, rel=1e-9)


@given(SECONDS, SECONDS, st.integers(1, 500))
def test_epochs_without_validation_cost_only_their_steps(step: float, validation: float, n_steps: int) -> None:
    costs = Costs(0.0, step, validation, 0.0)
    cost = phase_cost(simulated(7, n_steps, costs, every=2), validate_every=5)
    assert cost.epoch == pytest.approx(n_steps * step + validation / 5)


@given(SECONDS, SECONDS, SECONDS, st.integers(1, 300))
def test_a_short_training_is_not_charged_snapshots_of_a_long_one(
    step: float, validation: float, snapshot: float, n_epochs: int
) -> None:
    costs = Costs(0.0, step, validation, snapshot)
    cost, _ = pack_cost([simulated(4, 10, costs)], 1, 0, validate_every=1, parameters=100)
    same_size = interpolated([cost, cost], 100)
    assert same_size.seconds(n_epochs) == pytest.approx(costs.seconds(n_epochs, 10), abs=2 * snapshot + 1e-9, rel=1e-9)


def test_pretraining_is_part_of_what_the_epochs_do_not_change() -> None:
    layers = [Phase(index, 2, 10, 1.0, [Epoch(10, 1.0, 0.5)] * 2) for index in (0, 1)]
    last = Phase(2, 2, 10, 2.0, [Epoch(10, 3.0, 1.0)] * 4)
    cost, pretraining = pack_cost([*layers, last], 2, n_pretraining_epochs=6, validate_every=1, parameters=100)
    assert pretraining == pytest.approx(2 * (1.0 + 6 * 1.5))
    assert cost.seconds(8) == pytest.approx((pretraining + 2.0 + 8 * 4.0) / 2)


@given(st.lists(st.tuples(st.floats(1, 1e6), SECONDS, SECONDS), min_size=1, max_size=6), st.floats(1, 1e6))
def test_larger_networks_never_cost_less(measured: list[tuple[float, float, float]], size: float) -> None:
    costs = [Cost(*values) for values in measured]
    small, large = interpolated(costs, size), interpolated(costs, 2 * size)
    assert 0 <= small.seconds(3) <= large.seconds(3) + 1e-9


@given(st.floats(0, 5), st.floats(1e-6, 1e-3), st.lists(st.floats(1, 1e5), min_size=2, max_size=5, unique=True))
def test_interpolation_is_exact_on_a_line(intercept: float, slope: float, sizes: list[float]) -> None:
    costs = [Cost(size, 0.0, intercept + slope * size) for size in sizes]
    assert interpolated(costs, 500.0).epoch == pytest.approx(intercept + slope * 500, rel=1e-3)


@given(st.lists(SECONDS, min_size=1, max_size=20), st.integers(1, 6))
def test_makespan_lies_between_its_bounds(seconds: list[float], n_workers: int) -> None:
    time = makespan(seconds, n_workers)
    ideal = max(sum(seconds) / n_workers, max(seconds))
    assert ideal - 1e-9 <= time <= sum(seconds) / n_workers + max(seconds) + 1e-9
    assert makespan(seconds, 1) == pytest.approx(sum(seconds))


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 5), st.integers(2, 5))
def test_early_stopping_saves_epochs_and_never_the_first_rung(
    n_trials: int, n_epochs: int, grace: int, factor: int
) -> None:
    rungs = [grace * factor**k for k in range(10)]
    epochs = expected_epochs(n_trials, n_epochs, rungs, factor)
    assert min(grace, n_epochs) - 1e-9 <= epochs <= n_epochs + 1e-9
    assert expected_epochs(1, n_epochs, rungs, factor) == pytest.approx(n_epochs)  # nothing to compare with


def test_expected_epochs_agree_with_a_simulation_of_equal_trials() -> None:
    draw = random.Random(0)
    n_trials, n_epochs, rungs, factor, n_runs = 24, 12, [2, 6], 3, 400
    trained = 0
    for _ in range(n_runs):
        seen: dict[int, list[float]] = {rung: [] for rung in rungs}
        for _ in range(n_trials):
            last = n_epochs
            for rung in rungs:
                value = draw.random()
                seen[rung].append(value)
                n_kept = (len(seen[rung]) - 1) // factor + 1
                if value > sorted(seen[rung])[n_kept - 1]:
                    last = rung
                    break
            trained += last
    assert expected_epochs(n_trials, n_epochs, rungs, factor) == pytest.approx(trained / n_runs / n_trials, rel=0.05)


@given(st.floats(1, 1e6), st.lists(st.floats(0.2, 5), max_size=30))
def test_the_interval_holds_the_quote_and_is_symmetric_in_logarithms(seconds: float, ratios: list[float]) -> None:
    low, high = interval(seconds, ratios)
    assert low < seconds < high
    assert low * high == pytest.approx(seconds**2)
    assert high / seconds >= 1.15 - 1e-9
    if len(ratios) < 5:
        assert math.isclose(high / seconds, 1.3)


@given(SECONDS, SECONDS, st.integers(1, 500))
def test_two_epochs_show_what_validation_takes(step: float, validation: float, n_steps: int) -> None:
    costs = Costs(0.0, step, validation, 0.0)
    cost = phase_cost(simulated(2, n_steps, costs, every=2), validate_every=4)
    assert cost.epoch == pytest.approx(n_steps * step + validation / 4)
