"""Sweeps on a Ray cluster with a token: run there by RAY_ADDRESS, and submitted as jobs."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from mlflow import MlflowClient
from polling import wait_until

from sweeps.tracking.journal.records import PointState
from sweeps.tracking.person import claimed_person

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = 400
N_STARTS = 3
PASSWORD = "planted-password"  # noqa: S105 (looked for in what must not hold it)
OPTIONS = {
    "--port": "head",
    "--dashboard-port": "api",
    "--dashboard-agent-listen-port": "agent",
    "--dashboard-agent-grpc-port": "agent_grpc",
    "--runtime-env-agent-port": "runtime",
    "--metrics-export-port": "metrics",
    "--ray-client-server-port": "client",
}


def free_ports(n: int) -> list[int]:
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class RayHead:
    """A Ray cluster of one host, with a token; its processes see neither our environment nor our token."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.token_file = folder / ".ray" / "auth_token"
        self.token_file.parent.mkdir()
        self.token_file.write_text(secrets.token_hex(32))
        self.sweeps = folder / "shared"
        self.uri = f"sqlite:///{store}"
        self.temporary = Path(tempfile.mkdtemp(prefix="ray-"))  # its sockets' paths must be short
        self.ports = dict(zip(OPTIONS.values(), free_ports(len(OPTIONS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports['head']}"

    @property
    def api_server(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def start(self) -> None:
        bin_folder = Path(sys.executable).parent
        command = [str(bin_folder / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2"]
        command += ["--dashboard-host=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0"]
        command += [f"--temp-dir={self.temporary}", f"--object-store-memory={200 * 10**6}"]
        command += [f"{option}={self.ports[name]}" for option, name in OPTIONS.items()]
        environment = {"HOME": str(self.folder), "PATH": f"{bin_folder}:{os.environ['PATH']}", "RAY_AUTH_MODE": "token"}
        environment |= {"SWEEPS_HOME": str(self.sweeps), "MLFLOW_TRACKING_URI": self.uri, "OMP_NUM_THREADS": "1"}
        environment["SWEEPS_REPORT"] = "off"
        for _ in range(N_STARTS):
            with (self.folder / "head.log").open("wb") as log:
                started = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            self._process = started
            if self._has_started(started):
                return
        pytest.fail((self.folder / "head.log").read_text())

    def stop(self) -> None:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)
        _, alive = psutil.wait_procs(children, timeout=10)
        for process in alive:
            process.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)

    def wait_for_job(self, job: str) -> None:
        """Poll until a job has ended; the command line itself would take what the trials need."""
        url, token = f"{self.api_server}/api/jobs/{job}", self.token_file.read_text()
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310

        def status() -> str:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (our own server)
                return str(json.load(answer)["status"])

        wait_until(lambda: status() not in ("PENDING", "RUNNING"), status, seconds=SECONDS, pause=0.3)

    def _has_started(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the head takes jobs; False where its processes took longer to start than Ray waits, 30 s."""
        log, deadline = self.folder / "head.log", time.monotonic() + SECONDS
        while "subprocesses are monitored" not in log.read_text():
            if process.poll() is not None:
                assert "timed out during startup" in log.read_text(), log.read_text()
                return False
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return True


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[RayHead]:
    folder = tmp_path_factory.mktemp("head")
    shutil.copy(empty_store, folder / "mlflow.db")
    started = RayHead(folder, folder / "mlflow.db")
    started.start()
    yield started
    started.stop()


@pytest.fixture
def cluster_home(home: Any, head: RayHead) -> Any:
    """What the cluster has of the sweeps, to look at: no command of ours sees it."""
    return type(home)(head.sweeps, store=head.folder / "mlflow.db")


@pytest.fixture
def client(home: Any, head: RayHead) -> Callable[..., dict[str, Any]]:
    """Give commands as a person on another machine does, who has the address and the token of the cluster."""

    def give(*arguments: str, status: int = 0) -> dict[str, Any]:
        return home.run_json(
            *arguments,
            status=status,
            RAY_API_SERVER_ADDRESS=head.api_server,
            RAY_AUTH_TOKEN=head.token_file.read_text(),
            MLFLOW_TRACKING_URI=f"http://someone:{PASSWORD}@127.0.0.1:9",
            MLFLOW_TRACKING_PASSWORD=PASSWORD,
        )

    return give


def n_epochs(home: Any, sweep: str) -> int:
    if not (home.path / "sweeps" / sweep / "journal.db").exists():
        return 0
    with home.journal(sweep) as journal:
        return sum(len(journal.history(point.point_id)) for point in journal.points())


def driver_of(sweep: str) -> psutil.Process:
    """The process that runs a submitted sweep."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if sweep in command and command[1:3] == ["-m", "sweeps"]:
            return process
    pytest.fail("no driver found")


def array_sweep(sweep_file: Callable[..., str], tmp_path: Path, epochs: int, **sections: Any) -> str:
    """A sweep on an array that lies on the client's disk."""
    images = np.random.default_rng(0).random((300, 16), dtype=np.float32)
    np.save(tmp_path / "images.npy", images)
    data = {"name": "array", "path": str(tmp_path / "images.npy"), "n_valid": 50, "n_test": 50}
    return sweep_file(data=data, training={"epochs": epochs, "probe_samples": 0}, **sections)


def test_run_by_ray_address_sends_the_token_and_says_at_once_where_it_is_wrong(
    home: Any, head: RayHead, sweep_file: Callable[..., str]
) -> None:
    there = {"RAY_ADDRESS": head.address, "HOME": str(home.path)}
    (missing,) = home.run_json("run", sweep_file(), status=2, **there)["errors"]
    assert "requires a token" in missing
    assert "RAY_AUTH_TOKEN" in missing
    (wrong,) = home.run_json("run", sweep_file(), status=2, **there, RAY_AUTH_TOKEN="a" * 64)["errors"]
    assert "rejects the token of RAY_AUTH_TOKEN" in wrong
    assert "a" * 64 not in wrong
    (elsewhere,) = home.run_json("run", sweep_file(), status=2, RAY_ADDRESS=f"127.0.0.1:{head.ports['api']}")["errors"]
    assert "must be a Ray head's HOST:PORT" in elsewhere
    (home.path / ".ray").mkdir()
    shutil.copy(head.token_file, home.path / ".ray" / "auth_token")
    printed = home.run_json("run", sweep_file(), **there)
    assert (printed["state"], printed["trials"], printed["undelivered"]) == ("FINISHED", 1, 0)


def test_submit_says_at_once_what_is_wrong_with_cluster_token_or_sweep(
    home: Any, head: RayHead, sweep_file: Callable[..., str], client: Callable[..., dict[str, Any]]
) -> None:
    there = {"RAY_API_SERVER_ADDRESS": head.api_server, "HOME": str(home.path)}
    (none,) = home.run_json("submit", sweep_file(), status=2)["errors"]
    assert "RAY_API_SERVER_ADDRESS" in none
    (missing,) = home.run_json("submit", sweep_file(), status=2, **there)["errors"]
    assert "requires a token" in missing
    (wrong,) = home.run_json("submit", sweep_file(), status=2, **there, RAY_AUTH_TOKEN="a" * 64)["errors"]
    assert "rejects the token of RAY_AUTH_TOKEN" in wrong
    (away,) = client("submit", sweep_file(), "--address", "http://127.0.0.1:9", status=2)["errors"]
    assert "does not answer (" in away
    (unfit,) = client("submit", sweep_file(), "--set", "training.epochs=0", status=2)["errors"]
    assert "training.epochs" in unfit


def test_a_submitted_sweep_comes_to_its_end_though_its_driver_is_killed(
    cluster_home: Any,
    head: RayHead,
    client: Callable[..., dict[str, Any]],
    sweep_file: Callable[..., str],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = array_sweep(
        sweep_file, tmp_path, 150, search={"model.hidden_size": {"grid": [4, 8]}}, algorithm={"name": "grid"}
    )
    submitted = client("submit", path)
    sweep = submitted["sweep"]
    assert submitted["job"] == sweep
    record_property("seconds of `submit`", submitted["seconds"])
    wait_until(lambda: n_epochs(cluster_home, sweep) > 60)
    driver_of(sweep).kill()
    head.wait_for_job(sweep)
    ended = client("status", sweep)
    assert (ended["state"], ended["n_jobs"]) == ("FINISHED", 1)
    (away,) = ended["errors"]
    assert "MLflow server at http://127.0.0.1:9 does not answer" in away
    assert ended["told"].startswith("FINISHED: 2 of 2 trials ended, 0 failed")
    assert [point.state for point in cluster_home.points(sweep)] == [PointState.FINISHED] * 2
    recorded, stored = cluster_home.recorded_and_stored(sweep)
    assert stored == recorded
    with cluster_home.journal(sweep) as journal:
        assert all(len(journal.history(point.point_id)) == 150 for point in journal.points())
    (listed,) = [found for found in client("list")["submitted"] if found["sweep"] == sweep]
    assert listed["state"] == "FINISHED"
    assert listed["owner"]
    told = client("logs", sweep)["log"] + json.dumps([listed, ended])
    for path in (head.sweeps / "sweeps" / sweep).rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
    assert PASSWORD not in told
    assert head.token_file.read_text() not in told
    evaluated = client("evaluate", f"{sweep}/1")
    assert (evaluated["sweep"], evaluated["trial"], evaluated["n_samples"]) == (sweep, "0001", 50)
    monkeypatch.setenv("LOGNAME", "ceo")
    promoted = client("promote", sweep, "--model", "arrays", "--first", "--force")
    assert (promoted["verdict"], promoted["version"]) == ("promoted", "1")
    champion = MlflowClient(cluster_home.uri).get_model_version_by_alias("arrays", "champion")
    assert champion.tags["sweeps.sweep"] == sweep
    assert champion.tags["sweeps.promoted_by"] == str(claimed_person())
    assert client("delete", sweep)["sweep"] == sweep
    assert not (head.sweeps / "sweeps" / sweep).exists()
    assert sweep not in [found["sweep"] for found in client("list")["submitted"]]


def test_a_submitted_sweep_is_stopped_resumed_and_extended_under_its_id(
    cluster_home: Any,
    head: RayHead,
    client: Callable[..., dict[str, Any]],
    sweep_file: Callable[..., str],
    tmp_path: Path,
) -> None:
    path = array_sweep(
        sweep_file, tmp_path, 2500, search={"model.hidden_size": {"choice": [4, 8]}}, budget={"trials": 2}
    )
    sweep = client("submit", path)["sweep"]
    wait_until(lambda: n_epochs(cluster_home, sweep) > 30)
    (running,) = client("resume", sweep, status=2)["errors"]
    assert "has not ended" in running
    assert client("stop", sweep)["state"] == "INTERRUPTED"
    assert {point.state for point in cluster_home.points(sweep)} <= {PointState.KILLED, PointState.FINISHED}
    assert client("resume", sweep)["job"] == f"{sweep}-r2"
    head.wait_for_job(f"{sweep}-r2")
    assert client("status", sweep)["state"] == "FINISHED"
    assert client("extend", sweep, "--trials", "1")["job"] == f"{sweep}-r3"
    head.wait_for_job(f"{sweep}-r3")
    ended = client("status", sweep)
    assert (ended["state"], ended["n_jobs"], ended["n_trials"]) == ("FINISHED", 3, 3)
    assert [point.state for point in cluster_home.points(sweep)] == [PointState.FINISHED] * 3
    recorded, stored = cluster_home.recorded_and_stored(sweep)
    assert stored == recorded


def test_a_sweep_that_only_the_cluster_can_refuse_is_told_in_one_line_and_deleted(
    head: RayHead, client: Callable[..., dict[str, Any]], sweep_file: Callable[..., str]
) -> None:
    sweep = client("submit", sweep_file(resources={"cpus_per_trial": 64}))["sweep"]
    head.wait_for_job(sweep)
    ended = client("status", sweep)
    assert ended["state"] == "FAILED"
    assert "must fit one host" in ended["told"]
    assert "\n" not in ended["told"]
    (listed,) = (found for found in client("list")["submitted"] if found["sweep"] == sweep)
    assert (listed["state"], listed["told"]) == ("FAILED", ended["told"])
    assert client("delete", sweep)["sweep"] == sweep
    assert sweep not in [found["sweep"] for found in client("list")["submitted"]]


def test_status_and_list_tell_of_a_sweep_by_mlflow_while_the_cluster_is_away(
    home: Any, sweep_file: Callable[..., str], tmp_path: Path
) -> None:
    sweep = home.run_json("run", sweep_file())["sweep"]
    elsewhere = type(home)(tmp_path / "elsewhere", store=home.path / "mlflow.db")
    elsewhere.path.mkdir()
    away = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:9"}
    found = elsewhere.run_json("status", sweep, **away)
    assert (found["state"], found["tracked"]["trials"]) == ("FINISHED", {"FINISHED": 1})
    assert "does not answer (" in found["errors"][0]
    listed = elsewhere.run_json("list", **away)
    assert [(s["sweep"], s["state"]) for s in listed["tracked"]] == [(sweep, "FINISHED")]
    assert listed["tracked"][0]["owner"]
    (unknown,) = elsewhere.run_json("status", "nothing-of-the-kind", status=2)["errors"]
    assert "no sweep 'nothing-of-the-kind'" in unknown


PYTHON = """
import json, os, sys
import sweeps

submitted = sweeps.submit(sys.argv[1], {"budget.trials": 2}, address=sys.argv[2])
ended = submitted.wait(timeout_seconds=400)
listed = [found.sweep for found in sweeps.list_sweeps(address=sys.argv[2])]
here = None
try:
    sweeps.best(submitted)
except sweeps.errors.UnknownSweep as error:
    here = str(error)
os.environ["SWEEPS_HOME"] = sys.argv[3]
trials = sweeps.best(submitted).trials()
print(json.dumps([submitted.sweep, ended.state, ended.message, listed, here, list(trials["state"]), submitted.log()]))
"""


def test_python_submits_a_sweep_waits_for_it_and_reads_its_result_from_the_shared_folder(
    home: Any, head: RayHead, sweep_file: Callable[..., str]
) -> None:
    path = sweep_file(search={"model.hidden_size": {"choice": [4, 8]}}, budget={"trials": 9})
    done = subprocess.run(
        [sys.executable, "-c", PYTHON, path, head.api_server, str(head.sweeps)],
        env=home.environment | {"RAY_AUTH_TOKEN": head.token_file.read_text()},
        cwd=home.path,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sweep, state, message, listed, here, states, log = json.loads(done.stdout)
    assert (state, states) == ("FINISHED", ["FINISHED"] * 2)
    assert message.startswith("FINISHED: 2 of 2 trials ended, 0 failed")
    assert sweep in listed
    assert f"`sweeps best {sweep} --address {head.api_server}`" in here
    assert f"sweeps: {message}" in log


PLUGIN = """
import numpy as np
from pydantic import Field
from pathlib import Path
from tiles_of_the_client.sizes import SIZE
from sweeps.plugins import DataSettings, Samples

class TilesSettings(DataSettings):
    size: int = Field(SIZE, description="Pixels of a side.")
    offset: Path = Field(description="A file of the client.")

def tiles(settings: TilesSettings) -> Samples:
    images = np.random.default_rng(settings.seed).random((300, settings.size, settings.size), dtype=np.float32)
    return Samples(images + np.load(settings.offset), np.arange(300) % 3)
"""
NETWORK = """
from torch import nn
from pydantic import Field
from sweeps.models.config import NetworkSettings
from sweeps.models.networks.network import Activations

class OneSettings(NetworkSettings):
    code_size: int = Field(2, gt=0, description="Units of the code.")

class One(nn.Module):
    Settings = OneSettings

    def __init__(self, settings, shape):
        super().__init__()
        self.encoder = nn.Linear(shape.n_features, settings.code_size)
        self.decoder = nn.Linear(settings.code_size, shape.n_features)

    def forward(self, inputs):
        code = self.encoder(inputs)
        return Activations(code, self.decoder(code))
"""
IMPORT_ON_A_WORKER = """
import os, ray
from sweeps.cluster import session
from sweeps.config.plugin_source import plugin_named, source_of

@ray.remote
def size():
    from tiles_of_the_client.sizes import SIZE
    return SIZE

with session.connect(os.environ["RAY_ADDRESS"], [source_of(plugin_named("model", "tiles_of_the_client.sizes:SIZE"))]):
    print(ray.get(size.remote()))
"""


@pytest.fixture
def tiles(home: Any) -> Path:
    """A plug-in data set in the folder where commands are typed."""
    package: Path = home.path / "tiles_of_the_client"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sizes.py").write_text("SIZE = 4\n")
    (package / "data.py").write_text(PLUGIN)
    (package / "networks.py").write_text(NETWORK)
    np.save(home.path / "offset.npy", np.float32(0.5))
    return package


def test_the_code_of_a_plugin_goes_where_the_sweep_goes(
    cluster_home: Any,
    head: RayHead,
    client: Callable[..., dict[str, Any]],
    sweep_file: Callable[..., str],
    tiles: Path,
) -> None:
    data = {"name": "tiles_of_the_client.data:tiles", "offset": "offset.npy", "n_test": 50}
    model = {"name": "tiles_of_the_client.networks:One"}
    path = sweep_file(data=data, model=model, search={"model.code_size": {"choice": [2, 3]}}, budget={"trials": 1})
    sweep = client("submit", path)["sweep"]
    head.wait_for_job(sweep)
    ended = client("status", sweep)
    assert ended["state"] == "FINISHED", ended["told"]
    assert [ended["plugins"][role]["name"] for role in ("data", "model")] == [data["name"], model["name"]]
    with cluster_home.journal(sweep) as journal:
        tags = [journal.sweep().tags, *(point.tags for point in journal.points())]
    assert {found["sweeps.plugin.data.sha256"] for found in tags} == {ended["plugins"]["data"]["sha256"]}
    assert client("evaluate", f"{sweep}/0")["n_samples"] == 50
    assert client("extend", sweep, "--trials", "1")["job"] == f"{sweep}-r2"
    head.wait_for_job(f"{sweep}-r2")
    assert client("status", sweep)["state"] == "FINISHED"
    (tiles / "sizes.py").write_text("SIZE = 5\n")
    changed = client("evaluate", f"{sweep}/0", status=2)
    assert "tiles_of_the_client.networks must import" in changed["errors"][0]


@pytest.mark.parametrize("where", ["local", "cluster"])
@pytest.mark.usefixtures("tiles")
def test_workers_import_a_plugin_of_the_current_folder(home: Any, head: RayHead, where: str) -> None:
    there = {"RAY_ADDRESS": head.address if where == "cluster" else "local"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ON_A_WORKER],
        env=home.environment | there | {"RAY_AUTH_TOKEN": head.token_file.read_text()},
        cwd=home.path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout.strip() == "4", done.stderr
