"""What the driver records of its trials: MLflow then ranks them as `sweeps best` does."""

import math
import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow_ranking import check_ranking

from sweeps.cli.display.sweep import print_summary
from sweeps.cluster.resources import Share
from sweeps.cluster.tune.journal_callback import JournalCallback
from sweeps.cluster.tune.sweep_run import SweepInputs, SweepRun
from sweeps.config import SweepConfig
from sweeps.search.packing import Packing
from sweeps.storage import layout
from sweeps.tracking.crash_recovery import end_lost_sweep
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord, SweepState
from sweeps.tracking.mlflow.links import VIEW_TAG
from sweeps.tracking.mlflow.shipper import sync
from sweeps.tracking.progress import Progress
from sweeps.tracking.results import SweepResult, load_result, read_result
from sweeps.tracking.resume_state import count_ended, extended, read_resume_state
from sweeps.tracking.sweep_end import SweepEnd, record_end, record_importances
from sweeps.trial.dataset import Dataset

pytestmark = pytest.mark.slow

TWO = ({"metric": "valid/mse"}, {"metric": "valid/dead_units"})
# An ended trial; one that the driver ends, as ASHA does; one that fails.
ENDS: Mapping[str, dict[str, Any] | None] = {"end": {}, "asha": None, "fail": {"failed": True, "reason": "is nan"}}


def mse(*values: float) -> list[dict[str, float]]:
    return [{"valid/mse": value, "train/loss": value / 2} for value in values]


class Driver:
    """Plays what Tune would report to the callback of a sweep."""

    def __init__(self, config: SweepConfig, dataset: Dataset) -> None:
        self.config, self.dataset = config, dataset
        self.folder = layout.create(config.name)
        self.record = SweepRecord(
            self.folder.id, config.name, "winners", config.to_dict(), 1_000, tags={VIEW_TAG: self.folder.id}
        )
        Journal.create(self.folder.journal, self.record).close()
        self.time_ms = 2_000
        self.samples: list[dict[str, Any]] = []
        self.packing = Packing("")

    def callback(self, journal: Journal) -> JournalCallback:
        inputs = SweepInputs(self.dataset, Share(1, 0, 1), self.packing, Event())
        state, progress = read_resume_state(journal, self.folder, self.config), Progress.of(self.config, self.folder.id)
        count_ended(progress, state)
        run = SweepRun(self.config, inputs, self.folder, journal, "", lambda: True, 0.0, progress, state)
        return JournalCallback(run)

    def play(self, *packs: Mapping[str, tuple[str, Sequence[dict[str, float]]]], last: str = "end") -> None:
        """Train packs of points, `{id: (how it ends, metrics by epoch)}`, one after another."""
        with Journal.open(self.folder.journal) as journal:
            if journal.sweep().state is not SweepState.RUNNING:
                journal.resume_sweep(None, {}, self._now())
            callback = self.callback(journal)
            for pack in packs:
                self._train(callback, pack)
            if last == "lost":
                return
            callback.end_running("interrupted", keep_measured=False)
            result = read_result(journal, self.folder)
            state = SweepState.FINISHED if last == "end" else SweepState.INTERRUPTED
            record_end(journal, result, SweepEnd(state, self._now(), 1.0))

    def extend(self, n_more: int) -> None:
        self.config = extended(self.config, n_more)
        with Journal.open(self.folder.journal) as journal:
            journal.resume_sweep(self.config.to_dict(), {}, self._now())

    def deliver(self, uri: str) -> SweepResult:
        with Journal.open(self.folder.journal) as journal:
            status = sync(journal, uri, self.folder.path, 120)
        assert (status.n_undelivered, status.n_refused, status.error) == (0, 0, None)
        return load_result(self.folder)

    def _train(self, callback: JournalCallback, pack: Mapping[str, tuple[str, Sequence[dict[str, float]]]]) -> None:
        entries = [{"id": name, "index": int(name), "point": {"model.hidden_size": 8 + int(name)}} for name in pack]
        trial: Any = SimpleNamespace(trial_id=min(pack), config={"points": entries}, run_metadata=None)
        callback.on_trial_start(0, [], trial)
        for point_id, (how, history) in pack.items():
            reports = [
                {"event": "epoch", "point_id": point_id, "epoch": n, "metrics": metrics, "time_ms": self._now()}
                for n, metrics in enumerate(history, start=1)
            ]
            reports += self.samples
            if (end := ENDS.get(how)) is not None:
                reports.append({"event": "end", "point_id": point_id, "time_ms": self.time_ms, **end})
            callback.on_trial_result(0, [], trial, {"events": reports})
        if any(how == "asha" for how, _ in pack.values()):
            callback.on_trial_complete(0, [], trial)

    def _now(self) -> int:
        self.time_ms += 10
        return self.time_ms


@pytest.fixture
def drive(digits: Dataset, small_sweep: Callable[..., SweepConfig]) -> Callable[..., Driver]:
    def make(name: str, n_trials: int, **sections: Any) -> Driver:
        space = {"search": {"model.hidden_size": {"int": [8, 64]}}, "budget": {"trials": n_trials}}
        return Driver(small_sweep(name=name, **space, **sections), digits)

    return make


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """A store that all sweeps of this module share."""
    path = tmp_path_factory.mktemp("winners") / "mlflow.db"
    shutil.copy(empty_store, path)
    return f"sqlite:///{path}"


def n_metrics(uri: str) -> int:
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as store:
        ((count,),) = store.execute("SELECT count(*) FROM metrics").fetchall()
    return int(count)


def test_mlflow_ranks_trials_by_their_best_epochs(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("one", 4)
    # By last epochs, 0002 would come first, and the failed trial before all.
    driver.play(
        {"0000": ("end", mse(3, 1, 9))},
        {"0001": ("fail", mse(0.1))},
        {"0002": ("asha", mse(2, 2))},
        {"0003": ("end", mse(5, 4))},
    )
    result = driver.deliver(uri)
    assert [trial.trial for trial in result.ranking] == ["0000", "0002", "0003"]
    check_ranking(uri, result)
    stored = n_metrics(uri)
    with Journal.open(driver.folder.journal) as journal:
        journal.delivery.deliver_to("elsewhere")
    driver.deliver(uri)
    assert n_metrics(uri) == stored, "a second delivery adds nothing"


def test_mlflow_ranks_trials_by_their_last_epochs_if_asked(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("last", 2, objective={"metric": "valid/mse", "at": "last"})
    driver.play({"0000": ("end", mse(3, 1, 9))}, {"0001": ("end", mse(2, 2))})
    check_ranking(uri, driver.deliver(uri))


def test_mlflow_ranks_a_pareto_front_first(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("several", 4, objective=TWO)
    values = {"0000": (3, 1), "0001": (1, 9), "0002": (2, 2), "0003": (3, 3)}
    pack = {
        name: ("end", [{"valid/mse": error, "valid/dead_units": dead}, {"valid/mse": 9, "valid/dead_units": 0}])
        for name, (error, dead) in values.items()
    }
    driver.play(pack)
    result = driver.deliver(uri)
    assert [trial.trial for trial in result.ranking] == ["0001", "0002", "0000", "0003"]
    check_ranking(uri, result)


def test_mlflow_ranks_trials_of_a_resumed_and_extended_sweep(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("resumed", 2)
    driver.play({"0000": ("end", mse(3, 2, 9)), "0001": ("running", mse(4, 1.5))}, last="interrupt")
    check_ranking(uri, driver.deliver(uri))
    driver.play({"0001": ("running", mse(4, 1.5, 2))}, last="lost")
    with Journal.open(driver.folder.journal) as journal:
        assert end_lost_sweep(journal, driver.folder)
    check_ranking(uri, driver.deliver(uri))
    driver.play({"0001": ("end", mse(4, 1.5, 2, 3))})
    check_ranking(uri, driver.deliver(uri))
    driver.extend(2)
    driver.play({"0002": ("end", mse(1, 5))}, {"0003": ("fail", mse(0.5))})
    result = driver.deliver(uri)
    assert [trial.trial for trial in result.ranking] == ["0002", "0001", "0000"]
    check_ranking(uri, result)


def test_trials_of_an_earlier_version_are_ranked_once_their_sweep_is_extended(
    drive: Callable[..., Driver], uri: str
) -> None:
    driver = drive("earlier", 2)
    driver.play({"0000": ("end", mse(3, 2, 9)), "0001": ("end", mse(4, 5))})
    with sqlite3.connect(driver.folder.journal) as journal:  # what earlier versions recorded
        journal.execute("DELETE FROM entries WHERE kind IN ('best_epoch', 'rank', 'progress')")
        journal.execute(
            "UPDATE entries SET body = json_remove(body, '$.tags.\"sweeps.epochs\"') WHERE kind = 'point_end'"
        )
    driver.deliver(uri)
    driver.extend(1)
    driver.play({"0002": ("end", mse(3, 5))})
    check_ranking(uri, driver.deliver(uri))


def test_samples_of_the_machine_are_numbered_on_after_a_resume(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("sampled", 1)
    for history, last in ((mse(3), "interrupt"), (mse(3, 2), "end")):
        sample = {"event": "system", "point_id": "0000", "metrics": {"system/cpu_utilization_percentage": 50.0}}
        driver.samples = [sample, sample]
        driver.play({"0000": ("running" if last == "interrupt" else "end", history)}, last=last)
    result = driver.deliver(uri)
    check_ranking(uri, result)
    (trial,) = result.ranking
    assert "system/cpu_utilization_percentage" not in trial.metrics
    samples = MlflowClient(uri).get_metric_history(str(trial.run_id), "system/cpu_utilization_percentage")
    assert [sample.step for sample in samples] == [0, 1, 2, 3]


def test_a_point_that_is_ranked_by_its_last_epoch_gets_no_second_last_value(drive: Callable[..., Driver]) -> None:
    driver = drive("plain", 1)
    driver.play({"0000": ("end", mse(3, 2))})
    with Journal.open(driver.folder.journal) as journal:
        assert {name: best.last_epochs for name, best in journal.best_epochs().items()} == {"0000": {}}


def test_trials_have_their_number_and_the_pack_that_trains_them(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("packs", 12)
    driver.packing = Packing(None)
    driver.play({"0010": ("end", mse(3)), "0002": ("running", mse(4)), "0003": ("running", mse(5))}, last="interrupt")
    driver.play({"0003": ("end", mse(5, 2)), "0004": ("end", mse(6))}, {"0002": ("end", mse(4, 1))})
    client = MlflowClient(uri)
    runs = {point.point_id: client.get_run(str(point.run_id)).data for point in driver.deliver(uri).points}
    assert {trial: data.tags["sweeps.pack"] for trial, data in runs.items()} == {
        "0002": "0002",
        "0003": "0003",  # after the resume
        "0004": "0003",
        "0010": "0002",
    }
    assert (runs["0010"].tags["sweeps.number"], runs["0010"].params["trial"]) == ("10", "10")
    with Journal.open(driver.folder.journal) as journal:
        assert {point.point_id: point.tags["sweeps.pack"] for point in journal.points()} == {
            trial: data.tags["sweeps.pack"] for trial, data in runs.items()
        }


def test_a_trial_that_trains_by_itself_has_no_pack(drive: Callable[..., Driver]) -> None:
    driver = drive("single", 1)
    driver.play({"0000": ("end", mse(3))})
    with Journal.open(driver.folder.journal) as journal:
        assert "sweeps.pack" not in journal.points()[0].tags


@pytest.mark.parametrize(
    ("objective", "ranking"),
    [
        ({"metric": "valid/mse"}, ["0001", "0002", "0000", "0003"]),
        ({"metric": "valid/r2"}, ["0000", "0003", "0001", "0002"]),
        ([{"metric": "valid/r2"}, {"metric": "valid/mse"}], ["0000", "0003", "0001", "0002"]),
    ],
    ids=["minimize", "maximize", "several"],
)
def test_terminal_and_mlflow_name_the_same_winner_of_trials_of_equal_value(
    drive: Callable[..., Driver], uri: str, capsys: pytest.CaptureFixture[str], objective: Any, ranking: list[str]
) -> None:
    driver = drive("tied", 4, objective=objective)
    values = {"0002": (1.0, 0.25), "0000": (2.0, 0.5), "0003": (2.0, 0.5), "0001": (1.0, 0.25)}
    for trial, (error, r2) in values.items():  # the last to end comes first where MLflow sorts by value alone
        driver.play({trial: ("end", [{"valid/mse": error, "valid/r2": r2}])}, last="end")
    result = driver.deliver(uri)
    check_ranking(uri, result)
    print_summary(result)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    printed = [row[1] for row in rows if len(row) > 1 and re.fullmatch(r"\d{4}", row[1])]
    assert printed == [trial.trial for trial in result.ranking] == ranking
    description = MlflowClient(uri).get_run(str(result.record.run_id)).data.tags["mlflow.note.content"]
    assert re.findall(r"\[(\d{4}) ", description.partition("\n\n")[0]) == ranking


def test_each_objective_has_a_series_of_its_best_by_the_number_of_ended_trials(
    drive: Callable[..., Driver], uri: str
) -> None:
    driver = drive("series", 3, objective=TWO)

    def ends(error: float, dead: float) -> tuple[str, list[dict[str, float]]]:
        return "end", [{"valid/mse": error, "valid/dead_units": dead}]

    driver.play({"0000": ends(3, 1)}, {"0001": ends(2, 5)}, {"0002": ("running", mse(9))}, last="interrupt")
    driver.play({"0002": ("fail", mse(9))})
    driver.extend(1)
    driver.play({"0003": ends(4, 0.5)})
    run_id = str(driver.deliver(uri).record.run_id)

    def series(name: str) -> dict[int, float]:
        return {value.step: value.value for value in MlflowClient(uri).get_metric_history(run_id, name)}

    assert series("best_so_far/valid/mse") == {1: 3, 2: 2, 3: 2, 4: 2}
    assert series("best_so_far/valid/dead_units") == {1: 1, 2: 1, 3: 1, 4: 0.5}
    assert series("best/valid/dead_units") == {1: 1, 2: 5, 3: 5, 4: 5}


def test_a_metric_that_only_an_earlier_best_trial_had_is_no_longer_its_successors(
    drive: Callable[..., Driver], uri: str
) -> None:
    driver = drive("successor", 1)
    driver.play({"0000": ("end", [{"valid/mse": 3.0, "pretrain/loss": 0.5}])})
    driver.extend(1)
    driver.play({"0001": ("end", mse(2))})
    metrics = MlflowClient(uri).get_run(str(driver.deliver(uri).record.run_id)).data.metrics
    assert metrics["best/valid/mse"] == 2
    assert math.isnan(metrics["best/pretrain/loss"])


def test_importances_are_metrics_of_the_parent_run(drive: Callable[..., Driver], uri: str) -> None:
    driver = drive("important", 1)
    driver.play({"0000": ("end", mse(3))})
    with Journal.open(driver.folder.journal) as journal:
        record_importances(journal, {"model.hidden_size": 0.75}, 1, 9_000)
        record_importances(journal, {}, 1, 9_000)
    metrics = MlflowClient(uri).get_run(str(driver.deliver(uri).record.run_id)).data.metrics
    assert {name: value for name, value in metrics.items() if "importance" in name} == {
        "importance/model.hidden_size": 0.75
    }
