"""Several hosts on one machine: network namespaces on one switch, with host names of their own, and on them a Ray
cluster with a token, an MLflow server with a password, and a person's laptop.

Each host's processes are those of its namespace, which is how they are found, killed and cleaned up.
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
# The mount is the host's own: `ip netns exec` has made its mounts private.
ENTER = 'hostname "$0" && mount --bind "$1" "$2" && shift 2 && "$@"; exit $?'
# Of what runs on others `ray start` would see a head that runs, and not start its own.
ALONE = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
OWNER = "admin"


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


class Network:
    """Hosts on one switch, which this machine is on, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = secrets.token_hex(3)
        used = ip("-4", "-o", "address")
        self.subnet = next(f"10.213.{k}" for k in range(1, 255) if f" 10.213.{k}." not in used)
        # Where each host has a folder of its own: a short path, for the sockets in it.
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
    """A machine of its own as far as its network, its name, and what its processes keep in `temporary` go."""

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
        """The host's port of the switch."""
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
        """Whether the server that was started runs; others may outlive it for a while."""
        return self.server is not None and self.server.poll() is None

    def start(self, *arguments: str, **environment: str) -> None:
        """Start the host's server, on a host where nothing runs; its output goes to the host's log."""
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
        """SIGKILL whatever runs on the host, as a power cut ends it."""
        while processes := self.processes():
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)

    def cut_off(self) -> None:
        """Take the host from the network."""
        ip("-n", self.network.switch, "link", "set", self.port, "down")

    def join_again(self) -> None:
        ip("-n", self.network.switch, "link", "set", self.port, "up")

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"HOME": str(self.folder), "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        return own | {"TMPDIR": str(self.network.temporary)} | self.environment | more


class Cluster:
    """A Ray cluster of a head and two workers with one CPU each, an MLflow server, and the laptop of whoever submits.

    The hosts share `sweeps`, their SWEEPS_HOME. Nothing but the head's and the MLflow server's ports is known to the
    laptop, and the token and the password.
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
        # In both ways, to be looked for in what must not hold them.
        with_password = f"http://{OWNER}:{self.password}@{self.mlflow.address}:5000"
        tracking = {"MLFLOW_TRACKING_URI": with_password, "MLFLOW_TRACKING_USERNAME": OWNER}
        tracking |= {"MLFLOW_TRACKING_PASSWORD": self.password}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        counting = {"PYTHONPATH": str(self._install_plug_in()), "EPOCHS_FOLDER": str(self.epochs)}
        for host in (self.head, *self.workers):
            host.environment |= tracking | token | counting | {"SWEEPS_HOME": str(self.sweeps)}
            host.environment["RAY_USAGE_STATS_ENABLED"] = "0"
        self.laptop.environment |= tracking | {"RAY_AUTH_TOKEN": self.token, "RAY_API_SERVER_ADDRESS": self.api_server}
        for host in (self.laptop, self.mlflow):  # where this code and its dependencies are, if they are not installed
            host.environment |= {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}

    def start(self) -> None:
        """Start what does not run, and come back when all of it does."""
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
        """Give a command on the laptop; what it printed, as `--json` has it."""
        done = self.laptop.run(sys.executable, "-m", "sweeps", *arguments, "--json", **environment)
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.said += [done.stdout, done.stderr]
        return json.loads(done.stdout)

    def hold_at(self, epoch: int, free: Sequence[str] = ()) -> None:
        """Have each trial but those wait at the end of this epoch, before it reports it, until `let_go`."""
        partial = self.epochs / "hold.partial"
        partial.write_text(json.dumps({"epoch": epoch, "free": list(free)}))
        partial.replace(self.epochs / "hold")

    def let_go(self) -> None:
        (self.epochs / "hold").unlink(missing_ok=True)

    def trained(self, sweep: str) -> dict[str, list[tuple[int, str]]]:
        """The epochs that each point was trained for, in order, with the host; as the plug-in has seen them."""
        file = self.epochs / "epochs"
        lines = map(json.loads, file.read_text().splitlines() if file.exists() else ())
        found: dict[str, list[tuple[int, str]]] = {}
        for of_sweep, point, epoch, host in lines:
            if of_sweep == sweep:
                found.setdefault(point, []).append((epoch, host))
        return found

    def wait_for_job(self, job: str) -> dict[str, Any]:
        """Poll until a job has ended; the command line itself would take what the trials need."""
        wait_until(lambda: self.job(job)["status"] not in ("PENDING", "RUNNING"), lambda: str(self.job(job)))
        return self.job(job)

    def change_password(self, before: str, after: str) -> None:
        """Change the password at the MLflow server, and nowhere else."""
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
        """The addresses of the hosts that the cluster takes for alive."""
        raylets = [node["raylet"] for node in self.get("/nodes?view=summary")["data"]["summary"]]
        return [raylet["nodeManagerAddress"] for raylet in raylets if raylet["state"] == "ALIVE"]

    def get(self, path: str) -> Any:
        """What the cluster's API server answers."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.api_server}{path}", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (our own server)
            return json.load(answer)

    def _has_all_workers(self) -> bool:
        """Whether all are alive; one that has ended, and is known to have, is started again."""
        alive = self.alive()
        for worker in self.workers:
            if not worker.is_up and worker.address not in alive:
                self._start_ray(worker, f"--address={self.head.address}:6379")
        return sorted(alive) == sorted(host.address for host in (self.head, *self.workers) if host.is_up)

    def _install_plug_in(self) -> Path:
        """Make the plug-in known to Lightning by its entry point, as an installed package would."""
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
    """The cluster with all its hosts, started again where the test before has ended them, and no trial held."""
    cluster.let_go()
    cluster.start()
    return cluster
