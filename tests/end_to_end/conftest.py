"""Sweeps that the command line runs in its own process, as for a user."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow_ranking import check_ranking

from sweeps.storage.layout import SweepFolder
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.results import load_result

SWEEP_SECONDS = 240


@dataclass(frozen=True)
class Home:
    """A SWEEPS_HOME for commands, and their tracking store: in the same folder unless `store` names another file."""

    path: Path
    store: Path | None = None

    @property
    def uri(self) -> str:
        """The URI of the tracking store."""
        return f"sqlite:///{self.store or self.path / 'mlflow.db'}"

    @property
    def environment(self) -> dict[str, str]:
        given = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        return given | {
            "SWEEPS_HOME": str(self.path),
            "MLFLOW_TRACKING_URI": self.uri,
            "PYTHONUNBUFFERED": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sweeps", *arguments]

    def sweeps(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=SWEEP_SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command without waiting for its end."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment | environment,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def journal(self, sweep_id: str) -> Journal:
        """Open the journal of a sweep for reading: it is local even if the sweep's folder is in an object store."""
        (path,) = self.path.glob(f"*/{sweep_id}/journal.db")
        return Journal.open(path, read_only=True)

    def points(self, sweep_id: str) -> list[PointRecord]:
        """Return the points of a sweep from its journal."""
        with self.journal(sweep_id) as journal:
            return list(journal.points())

    def runs(self, experiment: str, uri: str | None = None) -> dict[str, Run]:
        """Return the child runs in MLflow by trial, from the local store or from the server at `uri`."""
        client = MlflowClient(uri or self.uri)
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=200)
        return {run.data.tags["sweeps.trial"]: run for run in found if "sweeps.trial" in run.data.tags}

    def statuses(self, experiment: str) -> list[str]:
        """Return the statuses of the child runs in the local store, sorted by trial."""
        return [run.info.status for _, run in sorted(self.runs(experiment).items())]

    def recorded_and_stored(self, sweep_id: str, uri: str | None = None) -> tuple[Counter[Any], Counter[Any]]:
        """Count every metric of a sweep in the journal and in MLflow: in the local store or on the server at `uri`."""
        client = MlflowClient(uri or self.uri)
        recorded: Counter[Any] = Counter()
        stored: Counter[Any] = Counter()
        with self.journal(sweep_id) as journal:
            for point in journal.points():
                history = journal.history(point.point_id)
                recorded.update((point.point_id, name, epoch, m[name]) for epoch, m in history for name in m)
                names = {name for _, metrics in history for name in metrics}
                if (best := journal.best_epochs().get(point.point_id)) is not None:
                    recorded.update((point.point_id, f"best/{name}", best.epoch, v) for name, v in best.metrics.items())
                    last = best.last_epochs.items()
                    recorded.update((point.point_id, name, epoch, best.metrics[name]) for name, epoch in last)
                    names |= {f"best/{name}" for name in best.metrics}
                for name in names:
                    found = client.get_metric_history(point.run_id, name)
                    stored.update((point.point_id, name, m.step, m.value) for m in found)
        return recorded, stored

    def check_winner(self, sweep_id: str) -> None:
        """Check that MLflow ranks the trials of a sweep as `sweeps best` does."""
        (folder,) = self.path.glob(f"*/{sweep_id}")
        result = load_result(SweepFolder(folder))
        assert self.run_json("best", sweep_id, "--top", "1000") == json.loads(json.dumps(result.to_dict(top=1000)))
        check_ranking(self.uri, result)

    def only_sweep(self) -> str | None:
        """Return the id of the home's only sweep, or None if there is none yet."""
        return next((path.parent.name for path in self.path.glob("sweeps/*/journal.db")), None)

    def n_epochs(self) -> int:
        """Return how many epochs the only sweep has recorded."""
        sweep_id = self.only_sweep()
        if sweep_id is None:
            return 0
        with self.journal(sweep_id) as journal:
            return sum(len(journal.history(point.point_id)) for point in journal.points())

    def wait_for_epochs(self, process: subprocess.Popen[str], n_epochs: int) -> None:
        """Poll until the only sweep has recorded `n_epochs` epochs."""
        self.wait_until(process, lambda: self.n_epochs() >= n_epochs)

    def wait_until(self, process: subprocess.Popen[str], is_met: Callable[[], bool]) -> None:
        """Poll until a condition is met; fail if the command ends first."""
        deadline = time.monotonic() + SWEEP_SECONDS
        while not is_met():
            if process.poll() is not None:
                output, errors = process.communicate()
                pytest.fail(f"the command ended with status {process.returncode} too early\n{output}\n{errors}")
            assert time.monotonic() < deadline, f"the condition was not met within {SWEEP_SECONDS} s"
            time.sleep(0.05)

    def run_json(self, *arguments: str, status: int = 0, **environment: str) -> dict[str, Any]:
        """Run a command with --json and return the document that it printed."""
        done = self.sweeps(*arguments, "--json", **environment)
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed


@dataclass(frozen=True)
class FinishedSweep:
    """A finished sweep and what `sweeps run --json` printed."""

    home: Home
    printed: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.printed["sweep"])


@pytest.fixture
def home(tmp_path: Path, empty_store: Path) -> Home:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return Home(tmp_path)


@pytest.fixture(scope="session")
def session_home() -> Callable[[Path], Home]:
    """Return the class `Home`, for sweeps that several tests share: a test module cannot import a conftest."""
    return Home


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> FinishedSweep:
    """The sweep of the README's first command, run once for all tests of its results, in a home without a store."""
    home = Home(tmp_path_factory.mktemp("quickstart"))
    return FinishedSweep(home, home.run_json("run", "quickstart", SWEEPS_REPORT="on"))


@pytest.fixture
def long_training() -> dict[str, Any]:
    """A `training` section that lasts for some seconds."""
    return {"epochs": 150, "probe_samples": 0}


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[..., str]:
    """Write the file of a small sweep on digits; the given sections replace its own."""

    def write(**sections: Any) -> str:
        document = {
            "name": "small",
            "data": {"name": "digits"},
            "model": {"name": "shallow", "hidden_size": 16},
            "training": {"epochs": 3, "probe_samples": 0},
            "objective": {"metric": "valid/mse"},
        }
        path = tmp_path / "small.yaml"
        path.write_text(json.dumps(document | sections))
        return str(path)

    return write
