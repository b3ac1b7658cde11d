"""From a few measured steps to the time of a whole sweep: arithmetic alone, in seconds."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol


class Epoch(Protocol):
    """The steps of an epoch that were trained, their seconds, and the seconds of the rest."""

    n_steps: int
    step_seconds: float
    other_seconds: float


class Phase(Protocol):
    """One fit: its phase, how many points took part, the steps of a whole epoch, and its measured epochs."""

    index: int
    n_points: int
    n_steps: int
    setup_seconds: float

    @property
    def epochs(self) -> Sequence[Epoch]: ...


@dataclass(frozen=True)
class Cost:
    """The seconds of a training: those that its number of epochs does not change, of an epoch, and of a snapshot.

    Epochs at powers of two save a snapshot. `parameters` is the size of the network, the mean over a pack.
    """

    parameters: float
    fixed: float
    epoch: float
    snapshot: float = 0.0

    def seconds(self, n_epochs: float) -> float:
        """Return the seconds of a training of `n_epochs`."""
        n_snapshots = math.floor(math.log2(n_epochs)) if n_epochs > 1 else 0
        return self.fixed + n_epochs * self.epoch + n_snapshots * self.snapshot


def phase_cost(phase: Phase, validate_every: int = 1) -> Cost:
    """Return the cost of a fit, for all its points together; of its network, the size is left at 0.

    An epoch takes the median time of a step times its steps, and the rest: validation, probe and reports. The first
    epoch warms up. A snapshot takes what the slowest epoch takes more than the fastest. With
    `validate_every` above 1, odd epochs were not validated.
    """
    epochs = phase.epochs
    if not epochs:
        return Cost(0.0, phase.setup_seconds, 0.0)
    warm = epochs[1:] or epochs
    steps = phase.n_steps * median(epoch.step_seconds / max(1, epoch.n_steps) for epoch in warm)
    others = [epoch.other_seconds for epoch in epochs]
    middle = others[1:-1] or others[-1:]
    if validate_every > 1 and len(others) > 1:
        validated, plain = (middle[0::2], middle[1::2]) if len(middle) > 1 else (others[-1:], others[:1])
        typical = min(plain) + max(0.0, min(validated) - min(plain)) / validate_every
        saving = max(validated) - min(validated)
    else:
        typical, saving = min(middle), max(middle) - min(middle)
    ends = sum(max(0.0, other - typical) for other in (others[0], others[-1])) / (2 if len(others) == 1 else 1)
    return Cost(0.0, phase.setup_seconds + ends, steps + typical, saving)


def pack_cost(
    phases: Sequence[Phase], n_points: int, n_pretraining_epochs: int, validate_every: int, parameters: float
) -> tuple[Cost, float]:
    """Return the cost of one trial of a measured pack, and the seconds of its pretraining.

    `n_pretraining_epochs` counts those of one phase before the last. Each trial carries its share of the pack.
    """
    last = max((phase.index for phase in phases), default=0)
    fixed = epoch = snapshot = pretraining = 0.0
    for phase in phases:
        if phase.index < last:
            pretraining += phase_cost(phase).seconds(n_pretraining_epochs)
        else:
            cost = phase_cost(phase, validate_every)
            fixed, epoch, snapshot = fixed + cost.fixed, epoch + cost.epoch, snapshot + cost.snapshot
    return Cost(parameters, (fixed + pretraining) / n_points, epoch / n_points, snapshot / n_points), pretraining


def interpolated(costs: Sequence[Cost], parameters: float) -> Cost:
    """Return the cost of a trial whose network has so many parameters, from those measured."""
    sizes = [cost.parameters for cost in costs]
    fixed = _line(sizes, [cost.fixed for cost in costs])
    epoch = _line(sizes, [cost.epoch for cost in costs])
    snapshot = _line(sizes, [cost.snapshot for cost in costs])
    return Cost(parameters, *(start + slope * parameters for start, slope in (fixed, epoch, snapshot)))


def _line(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line, neither of them negative."""
    mean_size, mean = sum(sizes) / len(sizes), sum(values) / len(values)
    spread = sum((size - mean_size) ** 2 for size in sizes)
    slope = sum((s - mean_size) * (v - mean) for s, v in zip(sizes, values, strict=True)) / spread if spread else 0.0
    slope = max(0.0, slope)
    if mean - slope * mean_size < 0:  # through the origin
        squares = sum(size**2 for size in sizes)
        return 0.0, sum(s * v for s, v in zip(sizes, values, strict=True)) / squares
    return mean - slope * mean_size, slope


def makespan(seconds: Sequence[float], n_workers: int) -> float:
    """Return when the last of these packs ends, if each starts on the first worker that is free."""
    free = [0.0] * max(1, n_workers)
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def expected_epochs(n_trials: int, n_epochs: int, rungs: Sequence[int], reduction_factor: int) -> float:
    """Return how many epochs a trial trains on average, if asynchronous halving stops it at `rungs`.

    Trials that are equally good reach a rung one after another; the i-th continues if it is among the best
    floor((i - 1) / reduction_factor) + 1 so far: with a probability of that number divided by i.
    """
    arriving, before, total = float(n_trials), 0, 0.0
    for rung in [r for r in rungs if r < n_epochs]:
        total += arriving * (rung - before)
        n = round(arriving)
        kept = sum(((i - 1) // reduction_factor + 1) / i for i in range(1, n + 1))
        arriving, before = min(arriving, kept), rung
    return (total + arriving * (n_epochs - before)) / n_trials if n_trials else 0.0


def interval(seconds: float, ratios: Sequence[float]) -> tuple[float, float]:
    """Return a range that holds the actual time in four of five sweeps, given those of earlier quotes.

    Its width is 1.28 times the scaled median absolute deviation of the last twenty log ratios, but at least 15 %; with
    fewer than five ratios it is 30 %.
    """
    logs = [math.log(ratio) for ratio in ratios[-20:]]
    width = math.log(1.3)
    if len(logs) >= 5:
        centre = median(logs)
        width = max(math.log(1.15), 1.28 * 1.4826 * median(abs(log - centre) for log in logs))
    return seconds / math.exp(width), seconds * math.exp(width)
