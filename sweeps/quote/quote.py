"""A quote: what a sweep will take, from a few steps of its first packs and of the corners of its search space."""

import os
import platform
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweeps.cluster.measuring import count_parameters, measure_packs, shared
from sweeps.cluster.resources import Share
from sweeps.cluster.session import is_local_address
from sweeps.cluster.tune.trainable import TrialInputs
from sweeps.config import SweepConfig
from sweeps.config.search_space import Point, corner_points
from sweeps.errors import SweepFailed
from sweeps.launch import Watch, prepare, start_progress
from sweeps.quote.prediction import Cost, interval, pack_cost
from sweeps.quote.schedule import Schedule, scheduled
from sweeps.search.packing import Packing, batches_of, packs
from sweeps.search.searchers import point_searcher
from sweeps.tracking import quotes

if TYPE_CHECKING:
    from sweeps.trial.measured_pack import MeasuredPack

# Networks that are built to know their sizes, at the corners and of the first points.
MAX_CORNERS, MAX_POINTS = 64, 64
# What a sweep takes after its last trial: the ranking, and the last records to MLflow. Corrected by earlier quotes.
END_SECONDS = 1.5
# A journal entry and its copy in a segment; measured on the sweeps of the recipes.
BYTES_PER_EPOCH = 1500
# A trial's requests to MLflow beside its figures: create, data, a batch of records at each end, state, diagnosis, tag.
REQUESTS_PER_TRIAL, REQUESTS_PER_FIGURE, REQUESTS_PER_SWEEP = 8, 2, 20


@dataclass(frozen=True)
class Quote:
    """What a sweep will take; times in seconds, memory and disk in bytes.

    `seconds` is the whole command, corrected by earlier quotes of this host (`correction`), `low` and `high` its range.
    If trials may stop early, `upper_seconds` is the time if none does. `money` is None without prices.
    """

    name: str
    host: str
    cluster: str
    trials: int
    packs: int
    at_once: int
    startup_seconds: float
    first_result_seconds: float
    trial_seconds: float
    seconds: float
    low: float
    high: float
    upper_seconds: float
    limited_by: str | None
    stops_early: bool
    device_hours: float
    device: str
    worker_bytes: int
    gpu_bytes: int
    memory_bytes: int
    disk_bytes: int
    mlflow_requests: int
    money: float | None
    currency: str | None
    correction: float
    corrected_by: int
    measured_seconds: float
    uncorrected_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the quote as plain values."""
        return asdict(self)


def quote(config: SweepConfig, *, watch: Watch | None = None, started: float | None = None) -> Quote:
    """Train a few steps of a sweep's packs, and predict what the sweep takes; keep the quote for its end.

    It measures where `run` would train: on this machine, or on the cluster at RAY_ADDRESS. Raises SweepFailed if a
    measured trial fails.
    """
    began = started or time.time()
    with prepare(config, start_progress(config, watch)) as inputs:
        share, packing = inputs.share, inputs.packing
        stored = shared(_trial_inputs(config, inputs.dataset, share))
        points = point_searcher(config).preview(MAX_POINTS)
        first = _packs(config, points, share, packing)
        measured = measure_packs([_named(pack) for pack in first[: _n_measured(share, packing)]], stored, share)
        corners = _spread(list(corner_points(config.search)), MAX_CORNERS)
        sizes = count_parameters([*points, *corners], stored, share)
        extremes = _extreme_packs(config, corners, sizes[len(points) :], max(len(pack) for pack in first))
        measured += measure_packs([_named(pack) for pack in extremes], stored, share)
        _check(measured)
        parameters = dict(zip(map(repr, [*points, *corners]), sizes, strict=True))
        costs = [_cost(config, pack, parameters) for pack in measured]
        schedule = scheduled(config, points, sizes[: len(points)], costs, share, packing)
    found = _assembled(config, share, schedule, measured, began)
    quotes.save_quote(config, found.seconds, found.uncorrected_seconds)
    return found


def _assembled(
    config: SweepConfig, share: Share, schedule: Schedule, measured: "Sequence[MeasuredPack]", began: float
) -> Quote:
    ratios = quotes.recorded_ratios()
    factor = quotes.correction(ratios)
    first_wave = measured[: min(share.concurrency, len(measured))]
    startup = max(pack.ready for pack in first_wave) - began
    boot = max(pack.ready - pack.started for pack in first_wave) * min(share.concurrency, schedule.n_packs)
    device_seconds = schedule.device_seconds + boot * share.devices
    uncorrected = startup + schedule.seconds + END_SECONDS
    upper = (startup + schedule.upper_seconds + END_SECONDS) * factor
    seconds, limited_by = _limited(config, uncorrected * factor, device_seconds * factor / 3600)
    low, high = interval(seconds, ratios)
    hours = device_seconds * factor / 3600 * seconds / (uncorrected * factor)
    worker = max(pack.peak_bytes for pack in measured)
    n_trials, prices = config.n_trials, config.prices
    disk = n_trials * (max(p.disk_bytes for p in measured) + BYTES_PER_EPOCH * config.n_epochs)
    figures = sum(pack.n_figures for pack in measured) / len(measured)
    price = 0.0 if prices is None else (prices.gpu_hour if share.gpus else prices.cpu_hour)
    if prices is not None and share.gpus:
        price += prices.cpu_hour * share.cpus / share.gpus
    return Quote(
        name=config.name,
        host=platform.node(),
        cluster=str(address) if not is_local_address(address := os.environ.get("RAY_ADDRESS")) else "this machine",
        trials=n_trials,
        packs=schedule.n_packs,
        at_once=min(share.concurrency, schedule.n_packs),
        startup_seconds=startup,
        first_result_seconds=startup + schedule.first_result_seconds,
        trial_seconds=schedule.trial_seconds,
        seconds=seconds,
        low=low,
        high=max(high, min(upper, seconds * 10) if schedule.stops_early and limited_by is None else high),
        upper_seconds=upper,
        limited_by=limited_by,
        stops_early=schedule.stops_early,
        device_hours=hours,
        device="GPU" if share.gpus else "CPU core",
        worker_bytes=worker,
        gpu_bytes=max(pack.gpu_bytes for pack in measured),
        memory_bytes=worker * min(share.concurrency, schedule.n_packs)
        + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        disk_bytes=round(disk),
        mlflow_requests=round(REQUESTS_PER_SWEEP + n_trials * (REQUESTS_PER_TRIAL + REQUESTS_PER_FIGURE * figures)),
        money=None if prices is None else hours * price,
        currency=None if prices is None else prices.currency,
        correction=factor,
        corrected_by=min(len(ratios), quotes.N_RATIOS),
        measured_seconds=time.time() - began,
        uncorrected_seconds=uncorrected,
    )


def _limited(config: SweepConfig, seconds: float, device_hours: float) -> tuple[float, str | None]:
    """Return the seconds until the sweep ends by itself or by a budget, and which budget ends it."""
    limits: dict[str | None, float] = {None: seconds}
    if config.budget.seconds is not None:
        limits["budget.seconds"] = config.budget.seconds
    if config.budget.device_hours is not None and device_hours > config.budget.device_hours:
        limits["budget.device_hours"] = seconds * config.budget.device_hours / device_hours
    ended_by = min(limits, key=lambda name: limits[name])
    return limits[ended_by], ended_by


def _trial_inputs(config: SweepConfig, dataset: Any, share: Share) -> TrialInputs:
    return TrialInputs(
        sweep=config.to_dict(),
        arrays=dict(dataset.arrays),
        pca_mse=dataset.pca_mse,
        column_mean=dataset.column_mean,
        folder="unused",
        accelerator="gpu" if share.gpus else "cpu",
        statistics=dataset.statistics,
        standardized=dataset.standardized,
    )


def _packs(config: SweepConfig, points: Sequence[Point], share: Share, packing: Packing) -> list[list[Point]]:
    """Return the packs in which `run` would train these points."""
    if not packing.is_packed:
        return [[point] for point in points]
    return packs(
        points,
        lambda point: batches_of(config, config.trial_at(point)),
        largest=packing.largest(on_gpu=share.gpus > 0),
        concurrency=share.concurrency,
    )


def _n_measured(share: Share, packing: Packing) -> int:
    """Return how many of the first packs to measure: one for each worker, and a few more if each is one trial."""
    return share.concurrency if packing.is_packed else max(share.concurrency, 4)


def _extreme_packs(
    config: SweepConfig, corners: Sequence[Point], sizes: Sequence[int], n_points: int
) -> list[list[Point]]:
    """Return packs of the corners with the smallest and with the largest networks, of points that can share a pack."""
    ordered = [corner for _, corner in sorted(zip(sizes, corners, strict=True), key=lambda pair: pair[0])]
    found = []
    for towards_end in (ordered, ordered[::-1]):
        key = batches_of(config, config.trial_at(towards_end[0]))
        alike = [c for c in towards_end if key is not None and batches_of(config, config.trial_at(c)) == key]
        found.append((alike or towards_end[:1])[:n_points])
    return found if len(set(sizes)) > 1 else found[:1]


def _cost(config: SweepConfig, pack: "MeasuredPack", parameters: Mapping[str, int]) -> Cost:
    trial = config.trial_at(dict(pack.points[0]))
    last = max((phase.index for phase in pack.phases), default=0)
    per_phase = trial.n_pretraining_epochs // last if last else 0
    size = sum(parameters[repr(point)] for point in pack.points) / len(pack.points)
    return pack_cost(pack.phases, len(pack.points), per_phase, trial.training.validate_every, size)[0]


def _check(measured: "Sequence[MeasuredPack]") -> None:
    failed = [pack.failures[0] for pack in measured if len(pack.failures) == len(pack.points)]
    if len(failed) == len(measured):
        raise SweepFailed(f"a quote needs trials that train, and all that were measured failed: {failed[0]}")


def _named(pack: Sequence[Point]) -> dict[str, Point]:
    return {f"{number:04d}": point for number, point in enumerate(pack)}


def _spread(points: list[Point], n: int) -> list[Point]:
    if len(points) <= n:
        return points
    return [points[number * (len(points) - 1) // (n - 1)] for number in range(n)]
