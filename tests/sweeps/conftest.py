"""A sweep file and its config issues, and a small sweep on digits with its data."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, current_thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sweeps.cluster.resources import Share
from sweeps.cluster.tune.journal_callback import JournalCallback
from sweeps.cluster.tune.sweep_run import SweepInputs, SweepRun
from sweeps.config import SweepConfig, load
from sweeps.config.search_space import corner_points
from sweeps.datamodules.arrays import DataArrays
from sweeps.errors import ConfigError
from sweeps.search.packing import decide_packing
from sweeps.storage import layout
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointEnd, PointRecord, PointState, SweepRecord, SweepState
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import Dataset, load_dataset
from sweeps.trial.events import to_plain
from sweeps.trial.pack import train_points

PLAIN = """\
name: plain
data: {name: digits}
model: {name: shallow}
search:
  model.hidden_size: {int: [8, 64]}
objective: {metric: valid/mse}
budget: {trials: 4}
"""


@pytest.fixture(autouse=True)
def _report_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every report at once, so that a test can cut a point off at any epoch."""
    monkeypatch.setattr("sweeps.trial.reports.SECONDS_BETWEEN_REPORTS", 0.0)


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(PLAIN)
    return path


@pytest.fixture
def issues() -> Callable[..., list[str]]:
    """The issues that `load` raises, one line each."""

    def load_invalid(source: Path | str, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as refusal:
            load(source, overrides)
        assert all(issue and "\n" not in issue for issue in refusal.value.issues)
        return list(refusal.value.issues)

    return load_invalid


@pytest.fixture
def small_sweep() -> Callable[..., SweepConfig]:
    """A sweep config of three epochs on digits; keyword arguments replace its sections."""

    def make(**sections: Any) -> SweepConfig:
        document: dict[str, Any] = {
            "name": "small",
            "data": {"name": "digits"},
            "model": {"name": "shallow", "hidden_size": 8},
            "training": {"epochs": 3, "probe_samples": 0},
            "objective": {"metric": "valid/mse"},
        }
        return SweepConfig.from_dict(document | sections)

    return make


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The digits dataset with its references, loaded once."""
    document = {"name": "digits", "data": {"name": "digits"}, "model": {"name": "shallow"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_dataset(SweepConfig.from_dict(document | {"objective": {"metric": "valid/mse"}}))


@pytest.fixture
def run_here() -> Callable[[SweepConfig], SweepResult]:
    """Run a grid or a single point as a sweep does, recorded in a journal, but in this process and without Ray."""

    def run(config: SweepConfig) -> SweepResult:
        torch.set_num_threads(1)
        folder, dataset = layout.create(config.name), load_dataset(config)
        record = SweepRecord(
            folder.id, config.name, config.experiment, config.to_dict(), 0, dataset=dataset.description
        )
        arrays = DataArrays.from_dict(dataset.arrays)
        context = TrialContext(
            config,
            arrays,
            dataset.references,
            folder,
            dataset.column_mean,
            "cpu",
            dataset.statistics,
            dataset.standardized,
        )
        with Journal.create(folder.journal, record) as journal:
            inputs = SweepInputs(dataset, Share(1, 0, 1), decide_packing(config), Event())
            callback = JournalCallback(
                SweepRun(config, inputs, folder, journal, "", lambda: True, 0.0, Progress.of(config))
            )
            for index, point in enumerate(corner_points(config.search)):
                entry = {"id": f"{index:04d}", "index": index, "point": point}
                trial: Any = SimpleNamespace(trial_id=entry["id"], config={"points": [entry]})

                def report(*reported: Any, trial: Any = trial) -> None:
                    callback.on_trial_result(0, [], trial, {"events": to_plain(reported[-1])})

                callback.on_trial_start(0, [], trial)
                train_points({entry["id"]: point}, context, report)
            journal.end_sweep(SweepState.FINISHED, "", {}, 1)
        return load_result(folder)

    return run


@pytest.fixture
def histories_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The id of a point for each time that this thread reads its history from a journal; delivery reads in another."""
    read: list[str] = []
    reader, read_history = current_thread(), Journal.history

    def history(journal: Journal, point_id: str) -> list[tuple[int, dict[str, float]]]:
        if current_thread() is reader:
            read.append(point_id)
        return read_history(journal, point_id)

    monkeypatch.setattr(Journal, "history", history)
    return read


@pytest.fixture
def write_result(tmp_path: Path, small_sweep: Callable[..., SweepConfig]) -> Iterator[Callable[..., SweepResult]]:
    """The result of a sweep whose points have these metrics by epoch.

    All are FINISHED unless `states` says otherwise; `tags` are those of their ends.
    """
    journals = []

    def make(
        histories: dict[str, list[dict[str, float]]],
        *,
        states: dict[str, PointState] | None = None,
        state: SweepState | None = SweepState.FINISHED,
        tags: dict[str, dict[str, str]] | None = None,
        **sections: Any,
    ) -> SweepResult:
        config = small_sweep(**sections)
        record = SweepRecord("small-1", "small", "small", config.to_dict(), 0)
        journal = Journal.create(tmp_path / f"journal-{len(journals)}.db", record)
        journals.append(journal)
        for index, (point_id, history) in enumerate(histories.items()):
            journal.start_point(PointRecord(point_id, index, {"model.hidden_size": index}, f"h={index}", index))
            for epoch, metrics in enumerate(history, start=1):
                journal.record_epoch(point_id, epoch, metrics, epoch)
            end = (states or {}).get(point_id, PointState.FINISHED)
            if end is not PointState.RUNNING:
                journal.end_point(point_id, PointEnd(end, None, (tags or {}).get(point_id, {})), 10)
        if state not in (None, SweepState.RUNNING):
            journal.end_sweep(state, "", {}, 20)
        return read_result(journal, SweepFolder(tmp_path))

    yield make
    for journal in journals:
        journal.close()
