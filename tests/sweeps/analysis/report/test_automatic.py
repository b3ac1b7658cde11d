"""The report that a sweep keeps while it runs: written by another process, recorded, delivered once, never fatal."""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from planted_sweep import plant, planted_config

from sweeps.analysis.importance import importances
from sweeps.analysis.report import automatic
from sweeps.analysis.report.automatic import keep_report
from sweeps.config import SweepConfig
from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import EntryKind
from sweeps.tracking.mlflow import shipper
from sweeps.tracking.results import load_result

CONFIG = planted_config(4)


@pytest.fixture(autouse=True)
def reports_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(automatic.VARIABLE)
    monkeypatch.setattr(automatic, "END_SECONDS", 200.0)  # on a busy machine the imports alone take long


@pytest.fixture
def folder() -> SweepFolder:
    return plant(CONFIG)


def keep(folder: SweepFolder, config: SweepConfig = CONFIG) -> int:
    """Keep the report of an ended sweep; return how many reports its journal has recorded."""
    with Journal.open(folder.journal) as journal:
        with keep_report(config, folder, journal, lambda: False):
            pass
        return n_reports(journal)


def n_reports(journal: Journal) -> int:
    return sum(row[1] == EntryKind.FIGURE and '"report.html"' in row[-1] for row in journal.rows(1))


def replace_worker(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    def start(_: str) -> "subprocess.Popen[str]":
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", script], text=True, **pipes)

    monkeypatch.setattr(automatic, "_start", start)


def test_the_importance_of_each_setting_is_recorded_with_the_report() -> None:
    folder = plant(config := planted_config(16))
    with Journal.open(folder.journal) as journal:
        with keep_report(config, folder, journal, lambda: False):
            pass
        rows = [json.loads(row[-1]) for row in journal.rows(1) if row[1] == EntryKind.PROGRESS]
    recorded = {name: value for row in rows for name, value in row["metrics"].items()}
    found = importances(load_result(folder)).settings
    assert found
    for setting in found:
        assert recorded[f"importance/{setting.path}"] == pytest.approx(setting.fanova)


@pytest.mark.slow
def test_last_report_reaches_the_parent_run_once(folder: SweepFolder, own_home: Path, empty_store: Path) -> None:
    uri = f"sqlite:///{own_home}/mlflow.db"
    Path(own_home / "mlflow.db").write_bytes(empty_store.read_bytes())
    assert keep(folder) == 1
    with Journal.open(folder.journal) as journal:
        assert shipper.sync(journal, uri, folder.path, 30).n_undelivered == 0
        parent = journal.sweep().run_id
        assert parent is not None
        (artifact,) = MlflowClient(uri).list_artifacts(parent)
        assert artifact.path == "report.html"
        (delivered,) = own_home.glob(f"mlartifacts/*/{parent}/artifacts/report.html")
        assert delivered.read_bytes() == (folder.path / "report.html").read_bytes()
    assert keep(folder) == 2  # of another start: its process knows no earlier one, and the file is the same
    with Journal.open(folder.journal) as journal:
        assert shipper.sync(journal, uri, folder.path, 30).n_undelivered == 0
    assert len(MlflowClient(uri).list_artifacts(parent)) == 1


def test_a_report_that_fails_is_one_warning(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace_worker(monkeypatch, 'input(); print(\'{"error": "planted"}\', flush=True); input()')
    with caplog.at_level(logging.WARNING):
        assert keep(folder) == 0
    (warning,) = caplog.messages
    assert warning.startswith("The report could not be made (planted): the sweep is not affected")


def test_a_worker_that_dies_is_one_warning(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace_worker(monkeypatch, "input(); raise SystemExit(3)")
    with caplog.at_level(logging.WARNING):
        assert keep(folder) == 0
    (warning,) = caplog.messages
    assert "its process ended with status 3" in warning


def test_a_worker_that_hangs_is_ended(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replace_worker(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(automatic, "END_SECONDS", 0.5)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert keep(folder) == 0
    assert time.monotonic() - began < 60
    (warning,) = caplog.messages
    assert "it took more than" in warning


def test_a_sweep_that_another_process_took_over_gets_no_report(folder: SweepFolder) -> None:
    with Journal.open(folder.journal) as journal, keep_report(CONFIG, folder, journal, lambda: True):
        pass
    assert not (folder.path / "report.html").exists()


def test_setting_and_variable_switch_reports_off(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    without = SweepConfig.from_dict(CONFIG.to_dict() | {"figures": {"report": False}})
    assert keep(folder, without) == 0
    monkeypatch.setenv(automatic.VARIABLE, "off")
    assert keep(folder) == 0
    assert not (folder.path / "report.html").exists()


def test_entries_of_a_worker_whose_clock_is_ahead_do_not_hide_the_end(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = '{"digest": str(number), "n_ended": 0, "importance": {}}'
    replace_worker(
        monkeypatch,
        f"import json, sys\nfor number, _ in enumerate(sys.stdin):\n    print(json.dumps({answer}), flush=True)",
    )
    monkeypatch.setattr(automatic, "FIRST_SECONDS", 0.05)
    with Journal.open(folder.journal) as journal:
        ahead = journal.last_ms() + 60_000
        journal.record_epoch("0000", 5, {"valid/mse": 0.5}, ahead)
        with keep_report(CONFIG, folder, journal, lambda: False):
            while not n_reports(journal):
                time.sleep(0.05)
            journal.record_epoch("0000", 6, {"valid/mse": 0.4}, ahead - 30_000)
        assert n_reports(journal) == 2


def test_a_report_that_is_late_starts_no_other_process(
    folder: SweepFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts: list[str] = []

    def start(sweep: str) -> "subprocess.Popen[str]":
        starts.append(sweep)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], text=True, **pipes)

    monkeypatch.setattr(automatic, "_start", start)
    monkeypatch.setattr(automatic, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(automatic, "END_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING), Journal.open(folder.journal) as journal:
        with keep_report(CONFIG, folder, journal, lambda: False):
            while not starts:
                time.sleep(0.05)
        time.sleep(0.5)
    assert len(starts) == 1
    assert len(caplog.messages) == 1
