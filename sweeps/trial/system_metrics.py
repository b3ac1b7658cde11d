"""What a worker uses of its machine while it trains a pack, measured by MLflow's monitors, which need no run.

MLflow's own variables switch this on: `mlflow.enable_system_metrics_logging()` sets the first of them. Samples travel
with the reports of the pack, so that they reach MLflow as all other records do.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sweeps.trial.events import Event, PointEnded, SystemSampled, now_ms
from sweeps.trial.reports import PackReport

_SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_INTERVAL = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_SAMPLES = "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING"
_NODE = "MLFLOW_SYSTEM_METRICS_NODE_ID"
# MLflow's own prefix and defaults.
_PREFIX = "system/"
_INTERVAL_SECONDS, _N_SAMPLES = 10.0, 1


@dataclass(frozen=True)
class Sampling:
    """Measure every `interval_seconds`, and report the mean of `n_samples`; `prefix` begins the metrics' names."""

    interval_seconds: float = _INTERVAL_SECONDS
    n_samples: int = _N_SAMPLES
    prefix: str = _PREFIX


def sampling_from_environment() -> Sampling | None:
    """Return what MLflow's environment variables ask for; None if system metrics are off."""
    if os.environ.get(_SWITCH, "").lower() not in ("true", "1"):
        return None
    node = os.environ.get(_NODE)
    return Sampling(
        float(os.environ.get(_INTERVAL) or _INTERVAL_SECONDS),
        int(os.environ.get(_SAMPLES) or _N_SAMPLES),
        f"{_PREFIX}{node}/" if node else _PREFIX,
    )


@contextmanager
def with_system_metrics(
    point_ids: Iterable[str], sampling: Sampling | None, report: PackReport
) -> Iterator[PackReport]:
    """Yield `report`, extended by samples taken while the context lasts; `report` itself if there is no `sampling`."""
    if sampling is None:
        yield report
        return
    sampler = _Sampler(sampling)
    thread = threading.Thread(target=sampler.run, name="system-metrics", daemon=True)
    thread.start()
    try:
        yield _SampledReports(point_ids, sampler, report)
    finally:
        sampler.stopped.set()
        thread.join()


class _Sampler:
    """Takes samples in a thread and keeps them until they are reported."""

    def __init__(self, sampling: Sampling) -> None:
        self.stopped = threading.Event()
        self._sampling = sampling
        self._lock = threading.Lock()
        self._samples: list[tuple[int, Mapping[str, float]]] = []
        self._monitors = _monitors()
        self._begin()

    def run(self) -> None:
        """Sample until stopped."""
        self._begin()
        while True:
            for _ in range(self._sampling.n_samples):
                if self.stopped.wait(self._sampling.interval_seconds):
                    return
                self._collect()
            self._keep()

    def take(self, *, at_once: bool) -> list[tuple[int, Mapping[str, float]]]:
        """Return the samples since the last call, with their times; if there is none, `at_once` takes one now."""
        if at_once and not self._samples:
            self._collect()
            self._keep()
        with self._lock:
            samples, self._samples = self._samples, []
        return samples

    def _begin(self) -> None:
        """Begin to measure the use of the CPU, which counts since the last measurement in the same thread."""
        with self._lock:
            for monitor in self._monitors:
                monitor.collect_metrics()
                monitor.clear_metrics()

    def _collect(self) -> None:
        with self._lock:
            for monitor in self._monitors:
                monitor.collect_metrics()

    def _keep(self) -> None:
        with self._lock:
            metrics: dict[str, float] = {}
            for monitor in self._monitors:
                metrics |= {self._sampling.prefix + name: value for name, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            self._samples.append((now_ms(), metrics))


class _SampledReports:
    """Reports of a pack with the samples of its machine, for each point that trains. A point has at least one."""

    def __init__(self, point_ids: Iterable[str], sampler: _Sampler, report: PackReport) -> None:
        self._running = dict.fromkeys(point_ids, False)  # whether the point has a sample
        self._sampler = sampler
        self._report = report

    def __call__(
        self, epoch: int | None, objectives: Mapping[str, float | list[float]], events: Sequence[Event]
    ) -> None:
        ended = {event.point_id for event in events if isinstance(event, PointEnded)}
        lacks_sample = any(not has_one for point_id, has_one in self._running.items() if point_id in ended)
        samples = self._sampler.take(at_once=lacks_sample)
        sampled = [
            SystemSampled(point_id=point_id, metrics=dict(metrics), time_ms=time_ms)
            for point_id in self._running
            for time_ms, metrics in samples
        ]
        if samples:
            self._running = dict.fromkeys(self._running, True)
        self._running = {point_id: has for point_id, has in self._running.items() if point_id not in ended}
        self._report(epoch, objectives, [*sampled, *events])


def _monitors() -> list[Any]:
    """Return MLflow's monitors; those of GPUs need a package of the vendor (`nvidia-ml-py`, `pyrsmi`) and a GPU."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    always: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor]
    monitors = [monitor() for monitor in always]
    for of_gpus in (GPUMonitor, ROCMMonitor):
        with suppress(ImportError, RuntimeError):  # no such package, no such GPU
            monitors.append(of_gpus())
            break
    return monitors
