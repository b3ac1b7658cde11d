"""Several hosts on one machine: network namespaces on one switch, each with its own host name. They run a Ray cluster
with a token and an MLflow server with a password; one is the laptop of the user.

All processes in a host's namespace belong to it: so they are found, killed and cleaned up.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from polling import wait_until

SECONDS = 300
BIN = Path(sys.executable).parent
# Only the host sees the mount: `ip netns exec` makes its mounts private.
ENTER = 'hostname "$0" && mount --bind "$1" "$2" && shift 2 && "$@"; exit $?'
# A process namespace per host: if `ray start` sees the head of another host, it does not start its own.
ALONE = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
OWNER = "admin"


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


class Network:
    """Hosts on one switch, to which this machine is connected, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = secrets.token_hex(3)
        used = ip("-4", "-o", "address")
        self.subnet = next(f"10.213.{k}" for k in range(1, 255) if f" 10.213.{k}." not in used)
        # Each host mounts its own folder here. The path is short because it holds sockets.
        self.temporary = Path(tempfile.mkdtemp(prefix="ray-"))
        self.hosts: list[Host] = []
        self.switch = f"sweeps-{self.id}-switch"
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        ip("link", "add", f"sweeps-{self.id}", "type", "veth", "peer", "name", "port-here", "netns", self.switch)
        self._plug("port-here")
        ip("address", "add", f"{self.subnet}.254/24", "dev", f"sweeps-{self.id}")
        ip("link", "set", f"sweeps-{self.id}", "up")

    def add(self, name: str) -> "Host":
        host = Host(self, name, f"{self.subnet}.{len(self.hosts) + 1}")
        self.hosts.append(host)
        ip("netns", "add", host.namespace)
        ip("-n", host.namespace, "link", "set", "lo", "up")
        peer = ("peer", "name", host.port, "netns", self.switch)
        ip("-n", host.namespace, "link", "add", "eth0", "type", "veth", *peer)
        self._plug(host.port)
        ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        ip("-n", host.namespace, "link", "set", "eth0", "up")
        host.temporary.mkdir(parents=True)
        return host

    def remove(self) -> None:
        for host in self.hosts:
            host.kill()
            ip("netns", "delete", host.namespace)
        ip("netns", "delete", self.switch)
        shutil.rmtree(self.temporary)

    def _plug(self, port: str) -> None:
        ip("-n", self.switch, "link", "set", port, "master", "bridge")
        ip("-n", self.switch, "link", "set", port, "up")


@dataclass
class Host:
    """A machine with its own network, host name, processes, and files in `temporary`."""

    network: Network
    name: str
    address: str
    environment: dict[str, str] = field(default_factory=dict)
    server: "subprocess.Popen[bytes] | None" = None

    @property
    def namespace(self) -> str:
        return f"sweeps-{self.network.id}-{self.name}"

    @property
    def port(self) -> str:
        """The port of the switch that the host is plugged into."""
        return f"port-{self.name}"

    @property
    def folder(self) -> Path:
        return self.network.folder / self.name

    @property
    def temporary(self) -> Path:
        return self.folder / "ray"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def command(self, *arguments: str) -> list[str]:
        enter = ["ip", "netns", "exec", self.namespace, *ALONE, "sh", "-c", ENTER, self.name]
        return [*enter, str(self.temporary), str(self.network.temporary), *arguments]

    @property
    def is_up(self) -> bool:
        """Whether the server runs; its child processes may outlive it for a while."""
        return self.server is not None and self.server.poll() is None

    def start(self, *arguments: str, **environment: str) -> None:
        """Kill what runs on the host, then start its server; the output goes to the host's log."""
        self.kill()
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                self.command(*arguments),
                env=self._environment(environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self._environment(environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def processes(self) -> list[int]:
        return [int(process) for process in ip("netns", "pids", self.namespace).split()]

    def kill(self) -> None:
        """SIGKILL everything that runs on the host, like a power failure."""
        while processes := self.processes():
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)

    def cut_off(self) -> None:
        """Disconnect the host from the network."""
        ip("-n", self.network.switch, "link", "set", self.port, "down")

    def join_again(self) -> None:
        ip("-n", self.network.switch, "link", "set", self.port, "up")

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"HOME": str(self.folder), "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        return own | {"TMPDIR": str(self.network.temporary)} | self.environment | more


class Cluster:
    """A Ray cluster of a head and two workers with one CPU each, an MLflow server, and the laptop that submits sweeps.

    The cluster's hosts share `sweeps`, their SWEEPS_HOME. The laptop knows only the ports of the head and of the MLflow
    server, the token and the password.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.network = Network(folder)
        self.head, self.mlflow, self.laptop = (self.network.add(name) for name in ("head", "mlflow", "laptop"))
        self.workers = [self.network.add(name) for name in ("worker-a", "worker-b")]
        self.token, self.password = secrets.token_hex(32), secrets.token_hex(12)
        self.store = shutil.copy(store, self.mlflow.folder / "mlflow.db")
        self.sweeps = folder / "shared"
        self.epochs = folder / "epochs"
        self.said: list[str] = []
        self.api_server = f"http://{self.head.address}:8265"
        self.tracking_uri = f"http://{self.mlflow.address}:5000"
        # The credentials are in the URI and in variables: a test looks for them in every log and file.
        with_password = f"http://{OWNER}:{self.password}@{self.mlflow.address}:5000"
        tracking = {"MLFLOW_TRACKING_URI": with_password, "MLFLOW_TRACKING_USERNAME": OWNER}
        tracking |= {"MLFLOW_TRACKING_PASSWORD": self.password}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        counting = {"PYTHONPATH": str(self._install_plug_in()), "EPOCHS_FOLDER": str(self.epochs)}
        for host in (self.head, *self.workers):
            host.environment |= tracking | token | counting | {"SWEEPS_HOME": str(self.sweeps)}
            host.environment |= {"RAY_USAGE_STATS_ENABLED": "0", "SWEEPS_REPORT": "off"}
        self.laptop.environment |= tracking | {"RAY_AUTH_TOKEN": self.token, "RAY_API_SERVER_ADDRESS": self.api_server}
        for host in (self.laptop, self.mlflow):  # where this code and its dependencies are, if they are not installed
            host.environment |= {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}

    def start(self) -> None:
        """Start whatever does not run; return when everything runs."""
        if not self.mlflow.is_up:
            self._start_mlflow()
        if not self.head.is_up:
            self._start_ray(self.head, "--head", "--port=6379", "--dashboard-host=0.0.0.0")
        wait_until(lambda: self._answers(f"{self.api_server}/api/version"), self.head.log.read_text)
        wait_until(lambda: self._answers(f"{self.tracking_uri}/health"), self.mlflow.log.read_text)
        wait_until(self._has_all_workers, lambda: self.workers[0].log.read_text())

    def stop(self) -> None:
        self.network.remove()

    def sweeps_json(self, *arguments: str, status: int = 0, **environment: str) -> Any:
        """Run a command with --json on the laptop and return the document that it printed."""
        done = self.laptop.run(sys.executable, "-m", "sweeps", *arguments, "--json", **environment)
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.said += [done.stdout, done.stderr]
        return json.loads(done.stdout)

    def hold_at(self, epoch: int, free: Sequence[str] = ()) -> None:
        """Pause each trial, except those in `free`, at the end of this epoch and before its report, until `let_go`."""
        partial = self.epochs / "hold.partial"
        partial.write_text(json.dumps({"epoch": epoch, "free": list(free)}))
        partial.replace(self.epochs / "hold")

    def let_go(self) -> None:
        (self.epochs / "hold").unlink(missing_ok=True)

    def trained(self, sweep: str) -> dict[str, list[tuple[int, str]]]:
        """Return each point's trained epochs in order, with the host, as the plug-in has recorded them."""
        file = self.epochs / "epochs"
        lines = map(json.loads, file.read_text().splitlines() if file.exists() else ())
        found: dict[str, list[tuple[int, str]]] = {}
        for of_sweep, point, epoch, host in lines:
            if of_sweep == sweep:
                found.setdefault(point, []).append((epoch, host))
        return found

    def wait_for_job(self, job: str) -> dict[str, Any]:
        """Poll until a job has ended, without a command: it would take CPU from the trials."""
        wait_until(lambda: self.job(job)["status"] not in ("PENDING", "RUNNING"), lambda: str(self.job(job)))
        return self.job(job)

    def change_password(self, before: str, after: str) -> None:
        """Change the password on the MLflow server only."""
        credentials = b64encode(f"{OWNER}:{before}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 (our own server)
            f"{self.tracking_uri}/api/2.0/mlflow/users/update-password",
            json.dumps({"username": OWNER, "password": after, "current_password": before}).encode(),
            {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
            method="PATCH",
        )
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310

    def job(self, job: str) -> Any:
        return self.get(f"/api/jobs/{job}")

    def alive(self) -> list[str]:
        """Return the addresses of the hosts that Ray considers alive."""
        raylets = [node["raylet"] for node in self.get("/nodes?view=summary")["data"]["summary"]]
        return [raylet["nodeManagerAddress"] for raylet in raylets if raylet["state"] == "ALIVE"]

    def get(self, path: str) -> Any:
        """Return the response of the cluster's API server."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.api_server}{path}", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (our own server)
            return json.load(answer)

    def _has_all_workers(self) -> bool:
        """Return whether all hosts are alive; restart each worker that has ended and that Ray considers dead."""
        alive = self.alive()
        for worker in self.workers:
            if not worker.is_up and worker.address not in alive:
                self._start_ray(worker, f"--address={self.head.address}:6379")
        return sorted(alive) == sorted(host.address for host in (self.head, *self.workers) if host.is_up)

    def _install_plug_in(self) -> Path:
        """Install the plug-in with the entry point by which Lightning finds it."""
        package = self.epochs / "epochs-1.0.dist-info"
        package.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("epochs.py"), self.epochs)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: epochs\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[pytorch_lightning.callbacks_factory]\ncount = epochs:callbacks\n")
        return self.epochs

    def _start_ray(self, host: Host, *options: str) -> None:
        temporary = [f"--temp-dir={self.network.temporary}"]
        command = [str(BIN / "ray"), "start", *options, f"--node-ip-address={host.address}", "--block", "--num-cpus=1"]
        host.start(
            *command, "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0", *temporary
        )

    def _start_mlflow(self) -> None:
        settings = self.mlflow.folder / "auth.ini"
        users = f"sqlite:///{self.mlflow.folder}/users.db"
        settings.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {users}\nadmin_username = {OWNER}\n"
            f"admin_password = {self.password}\nauthorization_function = "
            "mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0"]  # noqa: S104
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.store}"]
        command += ["--artifacts-destination", str(self.mlflow.folder / "artifacts")]
        self.mlflow.start(
            *command,
            MLFLOW_AUTH_CONFIG_PATH=str(settings),
            MLFLOW_FLASK_SERVER_SECRET_KEY=secrets.token_hex(16),
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        )

    def _answers(self, url: str) -> bool:
        try:
            headers = {"Authorization": f"Bearer {self.token}"}
            urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=2).close()  # noqa: S310
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Cluster]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2, for network namespaces")
    started = Cluster(tmp_path_factory.mktemp("cluster"), empty_store)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def whole_cluster(cluster: Cluster) -> Cluster:
    """The cluster with all its hosts, restarted if the previous test ended them, and no trial paused."""
    cluster.let_go()
    cluster.start()
    return cluster
