"""The stack of docker-compose.yml, built and started once per test module."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from polling import wait_until

ROOT = Path(__file__).parents[3]
SECRETS = (
    "POSTGRES_PASSWORD",
    "MLFLOW_ADMIN_PASSWORD",
    "MLFLOW_SWEEPS_PASSWORD",
    "MLFLOW_SECRET_KEY",
    "RAY_AUTH_TOKEN",
)
RUNS_ONCE, EXITED_WELL = "mlflow-accounts", ("--filter", "exited=0")
BUILD_SECONDS, UP_SECONDS = 1500, 600
PORTS = ("MLFLOW_PORT", "RAY_API_PORT", "MLFLOW_TLS_PORT", "RAY_TLS_PORT")


class Stack:
    """A Compose project with its own ports, volumes and passwords, separate from others on the same engine."""

    def __init__(self, command: list[str], folder: Path) -> None:
        no_secrets = folder / "env"  # replaces the user's own .env
        no_secrets.touch()
        self._command = [*command, "--env-file", str(no_secrets)]
        self.project = f"sweeps-test-{os.getpid()}"
        self.secrets = {name: secrets.token_hex(32) for name in SECRETS}
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.environment = {"COMPOSE_PROJECT_NAME": self.project, "SWEEPS_TAG": "test", "RAY_WORKER_CPUS": "1"}

    @property
    def mlflow(self) -> str:
        """MLflow's URL on the host."""
        return f"http://127.0.0.1:{self.ports['MLFLOW_PORT']}"

    @property
    def api_server(self) -> str:
        """The URL of Ray's API server on the host."""
        return f"http://127.0.0.1:{self.ports['RAY_API_PORT']}"

    @property
    def credentials(self) -> dict[str, str]:
        """The environment variables of a user who may access MLflow."""
        return {
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.secrets["MLFLOW_ADMIN_PASSWORD"],
        }

    def compose(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """Run a Compose command that must succeed; return its output."""
        done = self.attempt(*arguments, secrets=self.secrets, seconds=seconds)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(
        self, *arguments: str, secrets: Mapping[str, str], seconds: float = UP_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a Compose command with these secrets in the environment."""
        return self._run([*self._command, *arguments], secrets, seconds)

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the folder `docker`."""
        return self._run([str(ROOT / "docker" / name), *arguments], self.secrets, UP_SECONDS)

    def _run(self, command: list[str], secrets: Mapping[str, str], seconds: float) -> subprocess.CompletedProcess[str]:
        given = {key: value for key, value in os.environ.items() if key not in SECRETS}
        return subprocess.run(
            command,
            cwd=ROOT,
            env=given | self.environment | self.ports | dict(secrets),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def up(self, *services: str) -> None:
        """Start these services, by default all; wait until each server is healthy."""
        self.compose("up", "-d", *services)
        self.wait_until(self._all_are_healthy)

    def containers(self, *options: str) -> list[str]:
        """Return the ids of this project's running containers, or of those that `docker ps` finds with `options`."""
        command = ["docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={self.project}", *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a service's container; return its output."""
        return self.compose("exec", "-T", service, *command)

    def wait_until(self, is_met: Callable[[], bool]) -> None:
        """Poll until a condition is met."""
        wait_until(is_met, lambda: self.compose("logs", "--tail", "40"), seconds=UP_SECONDS, pause=0.5)

    def _all_are_healthy(self) -> bool:
        made = set(self.containers("--all"))
        done = self.containers("--all", "--filter", f"label=com.docker.compose.service={RUNS_ONCE}", *EXITED_WELL)
        return bool(made) and made == {*self.containers("--filter", "health=healthy"), *done}

    def address(self, service: str, network: str) -> str:
        """Return the IP address of a service's only container on a network of the stack."""
        (container,) = self.containers("--filter", f"label=com.docker.compose.service={service}")
        template = f'{{{{(index .NetworkSettings.Networks "{self.project}_{network}").IPAddress}}}}'
        command = ["docker", "inspect", "--format", template, container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def free_ports(n: int) -> list[int]:
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def compose_command() -> list[str]:
    """Return `docker compose`, or `docker-compose` if only that is installed."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("needs a Docker engine that answers")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if not shutil.which("docker-compose"):
        pytest.skip("needs docker-compose")
    return ["docker-compose"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack before it is built."""
    return Stack(compose_command(), tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def stack(engine: Stack) -> Iterator[Stack]:
    """The built and started stack; this process has the credentials of its MLflow."""
    engine.compose("build", seconds=BUILD_SECONDS)
    try:
        engine.up()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in engine.credentials.items():
                patch.setenv(name, value)
            yield engine
    finally:
        engine.compose("--profile", "tls", "down", "--volumes", "--timeout", "2")
