"""A sweep's packs on its workers, one after another, from the cost of its trials."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sweeps.cluster.resources import Share
from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.config.searchers import TpeConfig
from sweeps.quote.prediction import Cost, expected_epochs, interpolated, makespan
from sweeps.search.packing import Packing, batches_of, packs

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Schedule:
    """The seconds of all packs, from the first to the last, and what they are made of.

    `upper_seconds` is the time if no trial stops early, `device_seconds` the sum over packs times their devices.
    """

    n_packs: int
    seconds: float
    upper_seconds: float
    device_seconds: float
    trial_seconds: float
    first_result_seconds: float
    stops_early: bool


def scheduled(
    config: SweepConfig,
    points: Sequence[Point],
    sizes: Sequence[int],
    costs: Sequence[Cost],
    share: Share,
    packing: Packing,
) -> Schedule:
    """Return the schedule of all trials of a sweep: its first `points`, over and over, with networks of these sizes."""
    n_trials = config.n_trials
    trials = [config.trial_at(point) for point in points]
    cost = [interpolated(costs, size) for size in sizes]
    whole = [c.seconds(trial.training.epochs) for c, trial in zip(cost, trials, strict=True)]
    stopped = [c.seconds(_epochs(config, point)) for c, point in zip(cost, points, strict=True)]
    keys = [batches_of(config, trial) for trial in trials]
    indices = [number % len(points) for number in range(n_trials)]
    packed = [_packs(batch, keys, share, packing) for batch in batches(config, indices)]
    everything = [pack for batch in packed for pack in batch]

    def total(seconds: Sequence[float]) -> float:
        return sum(makespan([sum(seconds[i] for i in pack) for pack in batch], share.concurrency) for batch in packed)

    first = packed[0][0]
    every = trials[first[0]].training.validate_every
    return Schedule(
        n_packs=len(everything),
        seconds=total(stopped),
        upper_seconds=total(whole),
        device_seconds=share.devices * sum(stopped[i] for pack in everything for i in pack),
        trial_seconds=sum(stopped[i] for pack in everything for i in pack) / n_trials,
        first_result_seconds=sum(cost[i].seconds(every) for i in first),
        stops_early=config.stopping.stops_trials or any(trial.training.patience is not None for trial in trials),
    )


def _epochs(config: SweepConfig, point: Point) -> float:
    """Return the epochs that the trial at a point trains on average, if trials are equally good; without pretraining.

    Patience may double a training that improves: its trials are taken as a whole.
    """
    trial, factor = config.trial_at(point), config.stopping.pack_reduction_factor
    epochs = trial.training.epochs
    if factor is None:
        return float(epochs)
    rungs = [rung - trial.n_pretraining_epochs for rung in config.stopping.rung_epochs(trial)]
    return expected_epochs(config.n_trials, epochs, rungs, factor)


def batches(config: SweepConfig, items: Sequence[ItemT]) -> Iterator[list[ItemT]]:
    """Yield what the searcher proposes before it waits for results: everything, unless it learns from batches."""
    size = config.algorithm.batch_size if isinstance(config.algorithm, TpeConfig) else len(items)
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _packs(batch: Sequence[int], keys: Sequence[object], share: Share, packing: Packing) -> list[list[int]]:
    if not packing.is_packed:
        return [[number] for number in batch]
    return packs(
        batch,
        lambda number: keys[number],
        largest=packing.largest(on_gpu=share.gpus > 0),
        concurrency=share.concurrency,
    )
