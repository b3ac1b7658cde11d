"""The time left of simulated sweeps: the clock, the trials and the packs are made up, so the true time is known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress

START = 1_800_000_000.0


@dataclass
class Simulation:
    """A sweep of packs, `n_at_once` at a time, whose epochs take what `seconds_of` says for their start."""

    n_packs: int
    n_in_pack: int
    n_epochs: int
    n_at_once: int
    seconds_of: Callable[[float], float]
    start_seconds: float = 0.0
    now: float = 0.0
    estimates: list[tuple[float, float | None]] = field(default_factory=list)

    def run(self, deadline: float = float("inf")) -> "Simulation":
        """Train to the end; estimate after each epoch of a pack, and halfway to the next."""
        progress = Progress(
            "s",
            self.n_packs * self.n_in_pack,
            self.n_epochs,
            ObjectiveConfig(metric="valid/mse"),
            n_at_once=self.n_at_once,
            packs=self.n_in_pack > 1,
            clock=lambda: self.now,
            deadline=deadline,
        )
        waiting, events = list(range(self.n_packs)), [(0.0, -1, slot) for slot in range(self.n_at_once)]
        packs: dict[int, int] = {}
        while events:
            self.now, epoch, slot = heappop(events)
            if epoch < 0 or epoch > self.n_epochs:
                if epoch > 0:
                    self._each(packs[slot], lambda name: progress.point_ended(name, PointState.FINISHED))
                if not waiting:
                    continue
                packs[slot] = waiting.pop(0)
                self._each(packs[slot], lambda name: progress.point_started(name, at_ms=self._ms()))
                heappush(events, (self.now + (self.start_seconds if epoch < 0 else 0.0), 0, slot))
                continue
            progress.worker_ready(f"host:{slot}", self._ms())
            self._each(
                packs[slot],
                lambda name: progress.epoch_ended(name, epoch, {}, self._ms(), f"host:{slot}"),  # noqa: B023
            )
            self.estimates.append((self.now, progress.seconds_left()))
            seconds = self.seconds_of(self.now) if epoch < self.n_epochs else 0.0
            heappush(events, (self.now + seconds, epoch + 1, slot))
        return self

    def left_at(self, share: float) -> tuple[float, float | None]:
        """Return the true and the estimated seconds left after a share of the training, which starts at once."""
        until = self.start_seconds + share * (self.now - self.start_seconds)
        now, estimate = next(pair for pair in self.estimates if pair[0] >= until)
        return self.now - now, estimate

    def _each(self, pack: int, act: Callable[[str], None]) -> None:
        for index in range(self.n_in_pack):
            act(f"{pack}-{index}")

    def _ms(self) -> int:
        return round((START + self.now) * 1000)


simulations = st.builds(
    Simulation,
    n_packs=st.integers(1, 12),
    n_in_pack=st.integers(1, 8),
    n_epochs=st.integers(20, 40),
    n_at_once=st.integers(1, 4),
    seconds_of=st.floats(0.2, 300).map(lambda seconds: lambda _: seconds),
    start_seconds=st.floats(0, 60),
)


@given(simulations)
@settings(max_examples=60, deadline=None)
def test_after_a_quarter_of_steady_work_the_estimate_is_within_a_factor_of_one_and_a_half(sweep: Simulation) -> None:
    for share in (0.25, 0.5, 0.75):
        true, estimate = sweep.left_at(share) if sweep.estimates else sweep.run().left_at(share)
        assert estimate is not None
        assert true / 1.5 - 0.1 <= estimate <= 1.5 * true + 0.1


@given(simulations, st.floats(0, 100))
@settings(max_examples=40, deadline=None)
def test_the_estimate_is_never_negative_nor_beyond_the_budget(sweep: Simulation, budget: float) -> None:
    sweep.run(deadline=budget)
    for now, estimate in sweep.estimates:
        assert estimate is None or 0 <= estimate <= max(0.0, budget - now)


@given(st.floats(5, 60), st.integers(1, 8), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_slow_start_fades(factor: float, n_in_pack: int, n_at_once: int) -> None:
    sweep = Simulation(2 * n_at_once, n_in_pack, 60, n_at_once, lambda now: factor if now < 0.5 * factor else 1.0)
    true, estimate = sweep.run().left_at(0.6)
    assert estimate == pytest.approx(true, rel=0.1, abs=1.5)


def test_nothing_is_estimated_from_the_first_epochs() -> None:
    sweep = Simulation(4, 8, 20, 2, lambda now: 20.0 if now < 10 else 1.0).run()
    known = [(now, estimate) for now, estimate in sweep.estimates if estimate is not None]
    assert known[0][0] >= 21
    assert (known[0][1] or 0.0) < 1.5 * (sweep.now - known[0][0])


def test_a_sweep_that_is_silent_has_more_time_left_the_longer_it_is_silent() -> None:
    progress = Progress("s", 1, 100, ObjectiveConfig(metric="valid/mse"), clock=lambda: now)
    now = 0.0
    progress.point_started("a", at_ms=round(START * 1000))
    for epoch in range(11):
        now = float(epoch)
        progress.epoch_ended("a", epoch, {}, round((START + epoch) * 1000), "host:1")
    assert progress.seconds_left() == pytest.approx(90)
    now = 10.5
    assert progress.seconds_left() == pytest.approx(89.5)
    now = 20.0
    longer = progress.seconds_left() or 0.0
    now = 1000.0
    assert (progress.seconds_left() or 0.0) > 1000 > longer > 90
