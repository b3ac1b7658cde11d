"""System metrics: on if MLflow's switch says so, for each point that trains."""

import time
from collections.abc import Sequence
from typing import Any

import mlflow
import pytest

from sweeps.models.metric_table import SYSTEM_METRICS
from sweeps.trial.events import EpochEnded, Event, PointEnded, SystemSampled
from sweeps.trial.system_metrics import Sampling, sampling_from_environment, with_system_metrics

SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"


@pytest.fixture(autouse=True)
def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SWITCH, "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "MLFLOW_SYSTEM_METRICS_NODE_ID"):
        monkeypatch.setenv(name, "")  # so that what a test sets is undone


def test_mlflow_switch_asks_for_system_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampling_from_environment() is None
    mlflow.enable_system_metrics_logging()  # type: ignore[attr-defined]
    assert sampling_from_environment() == Sampling(10.0, 1, "system/")
    mlflow.set_system_metrics_sampling_interval(2)  # type: ignore[attr-defined]
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_NODE_ID", "one")
    assert sampling_from_environment() == Sampling(2.0, 1, "system/one/")
    mlflow.disable_system_metrics_logging()  # type: ignore[attr-defined]
    assert sampling_from_environment() is None


def reported(*reports: Sequence[Event], sampling: Sampling | None, pause: float = 0.0) -> list[list[Event]]:
    sent: list[list[Event]] = []

    def report(*reported: Any) -> None:
        sent.append(reported[-1])

    with with_system_metrics(["a", "b"], sampling, report) as sampled:
        for events in reports:
            until = time.monotonic() + pause
            while time.monotonic() < until:  # keep a CPU busy
                pass
            sampled(1, {}, list(events))
    return sent


def samples(events: Sequence[Event]) -> list[str]:
    return [event.point_id for event in events if isinstance(event, SystemSampled)]


def test_each_point_has_a_sample_before_its_end_however_short_it_is() -> None:
    epochs = [EpochEnded(point_id="a", epoch=1), EpochEnded(point_id="b", epoch=1)]
    first, second, third = reported(
        epochs, [PointEnded(point_id="a")], [PointEnded(point_id="b")], sampling=Sampling(3600.0)
    )
    assert [samples(events) for events in (first, second, third)] == [[], ["a", "b"], []]
    assert isinstance(second[-1], PointEnded)
    sample = second[0]
    assert isinstance(sample, SystemSampled)
    of_machine = {f"system/{name}" for name in SYSTEM_METRICS if not name.startswith("gpu_")}
    assert of_machine == {name for name in sample.metrics if not name.startswith("system/gpu_")}
    assert 0 < sample.metrics["system/system_memory_usage_percentage"] <= 100


def test_samples_come_at_their_interval_for_points_that_still_train() -> None:
    first, second = reported([PointEnded(point_id="a")], [], sampling=Sampling(0.2), pause=1.0)
    assert set(samples(first)) == {"a", "b"}
    sampled = next(event for event in first if isinstance(event, SystemSampled))
    assert sampled.metrics["system/cpu_utilization_percentage"] > 0, "the first value is that of a whole interval"
    assert set(samples(second)) == {"b"}
    assert len(samples(second)) > 1


def test_nothing_is_added_if_the_switch_is_off() -> None:
    end = PointEnded(point_id="a")
    assert reported([end], sampling=None) == [[end]]
