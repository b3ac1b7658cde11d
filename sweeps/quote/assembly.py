"""The figures of a quote, from a schedule and the packs that were measured."""

import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweeps.cluster.resources import Share
from sweeps.cluster.session import is_local_address
from sweeps.config import SweepConfig
from sweeps.config.resources import PricesConfig
from sweeps.quote.prediction import interval
from sweeps.quote.schedule import Schedule
from sweeps.tracking import quotes

if TYPE_CHECKING:
    from sweeps.trial.measured_pack import MeasuredPack

# What a sweep takes after its last trial: the ranking, and the last records to MLflow. Corrected by earlier quotes.
END_SECONDS = 1.5
# A journal entry and its copy in a segment: an estimate, on the high side.
BYTES_PER_EPOCH = 1500
# A trial's requests to MLflow beside its figures: create, data, a batch of records at each end, state, diagnosis, tag.
REQUESTS_PER_TRIAL, REQUESTS_PER_FIGURE, REQUESTS_PER_SWEEP = 8, 2, 20


@dataclass(frozen=True)
class Quote:
    """What a sweep will take; times in seconds, memory and disk in bytes.

    `seconds` is the whole command, corrected by earlier quotes of this host (`correction`), `low` and `high` its range.
    If trials may stop early, `upper_seconds` is the time if none does, and `high` is no less. `money` is None without
    prices.
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


def assembled(
    config: SweepConfig, share: Share, schedule: Schedule, measured: "Sequence[MeasuredPack]", began: float
) -> Quote:
    """Return a quote; `began` is when its command started, in seconds since 1970."""
    ratios = quotes.recorded_ratios()
    factor = quotes.correction(ratios)
    at_once = min(share.concurrency, schedule.n_packs)
    first_wave = measured[:at_once]
    startup = max(pack.ready for pack in first_wave) - began
    boot_seconds = max(pack.ready - pack.started for pack in first_wave) * at_once  # the workers hold devices meanwhile
    around = startup + END_SECONDS
    uncorrected = around + schedule.seconds
    whole_hours = (schedule.device_seconds + boot_seconds * share.devices) * factor / 3600
    upper = (startup + schedule.upper_seconds + END_SECONDS) * factor
    part, limited_by = trained_part(config, schedule.seconds * factor, whole_hours)
    seconds = (around + schedule.seconds * part) * factor
    low, high = interval(seconds, ratios)
    hours = whole_hours * part
    worker_bytes = max(pack.peak_bytes for pack in measured)
    driver_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Quote(
        name=config.name,
        host=platform.node(),
        cluster=_measured_on(),
        trials=config.n_trials,
        packs=schedule.n_packs,
        at_once=at_once,
        startup_seconds=startup,
        first_result_seconds=startup + schedule.first_result_seconds,
        trial_seconds=schedule.trial_seconds,
        seconds=seconds,
        low=low,
        high=max(high, upper) if schedule.stops_early and limited_by is None else high,
        upper_seconds=upper,
        limited_by=limited_by,
        stops_early=schedule.stops_early,
        device_hours=hours,
        device="GPU" if share.gpus else "CPU core",
        worker_bytes=worker_bytes,
        gpu_bytes=max(pack.gpu_bytes for pack in measured),
        memory_bytes=worker_bytes * at_once + driver_bytes,
        disk_bytes=_disk_bytes(config, measured),
        mlflow_requests=_requests(config, measured),
        money=None if config.prices is None else hours * _price_of_device(config.prices, share),
        currency=None if config.prices is None else config.prices.currency,
        correction=factor,
        corrected_by=min(len(ratios), quotes.N_RATIOS),
        measured_seconds=time.time() - began,
        uncorrected_seconds=uncorrected,
    )


def _measured_on() -> str:
    address = os.environ.get("RAY_ADDRESS")
    return "this machine" if is_local_address(address) else str(address)


def _disk_bytes(config: SweepConfig, measured: "Sequence[MeasuredPack]") -> int:
    per_trial = sum(pack.disk_bytes for pack in measured) / len(measured)
    return round(config.n_trials * (per_trial + BYTES_PER_EPOCH * config.n_epochs))


def _requests(config: SweepConfig, measured: "Sequence[MeasuredPack]") -> int:
    n_figures = sum(pack.n_figures for pack in measured) / len(measured)
    return round(REQUESTS_PER_SWEEP + config.n_trials * (REQUESTS_PER_TRIAL + REQUESTS_PER_FIGURE * n_figures))


def _price_of_device(prices: PricesConfig, share: Share) -> float:
    """Return the price of a device hour: of a CPU core, or of a GPU with its share of the cores."""
    return prices.gpu_hour + prices.cpu_hour * share.cpus / share.gpus if share.gpus else prices.cpu_hour


def trained_part(config: SweepConfig, seconds: float, device_hours: float) -> tuple[float, str | None]:
    """Return which part of the training a sweep gets to, at most 1, and the budget that ends it there, if any.

    `seconds` and `device_hours` are those of the whole training: budgets do not count start-up.
    """
    parts: dict[str | None, float] = {None: 1.0}
    if config.budget.seconds is not None and config.budget.seconds < seconds:
        parts["budget.seconds"] = config.budget.seconds / seconds
    if config.budget.device_hours is not None and config.budget.device_hours < device_hours:
        parts["budget.device_hours"] = config.budget.device_hours / device_hours
    ended_by = min(parts, key=lambda name: parts[name])
    return parts[ended_by], ended_by
