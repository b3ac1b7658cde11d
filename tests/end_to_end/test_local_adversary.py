"""What another user of this machine can do to a running sweep and a running `sweeps ui`: nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from served_ui import ServedUi, served_ui

pytestmark = pytest.mark.slow

NOBODY = 65534
# What the process of the other user starts with. Imports come first: later, the files of Python may be closed to it.
AS_NOBODY = f"""
import encodings.idna, http.client, json, os, pathlib, sys
import grpc, grpc._channel
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
given = json.load(sys.stdin)
"""
# The command lines and environments of all processes that contain a text.
PROCESSES_WITH = """
found = []
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("cmdline", "environ"):
        try:
            if given.encode() in (process / name).read_bytes():
                found.append(f"{process}/{name}")
        except OSError:
            pass
print(json.dumps(found))
"""


def as_nobody(code: str, given: Any) -> Any:
    """What Python code prints, as JSON, that another user runs: a process of its own. It finds `given` there."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    command = [sys.executable, "-c", AS_NOBODY + code]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Running:
    """The processes of a running sweep, driver and Ray's, and the folder of that Ray."""

    processes: list[psutil.Process]
    ray_folder: Path

    @property
    def ports(self) -> dict[int, str]:
        """The ports where they listen, and the addresses."""
        connections = [found for process in self.processes for found in process.net_connections("inet")]
        return {found.laddr.port: found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}

    @property
    def sockets(self) -> list[str]:
        """The Unix sockets that have a path."""
        return sorted(str(path) for path in self.ray_folder.rglob("sockets/*"))


@pytest.fixture(scope="module")
def running(
    session_home: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Iterator[Running]:
    """A sweep that trains until it is stopped, on the local Ray that it started."""
    path = tmp_path_factory.mktemp("victim")
    shutil.copy(empty_store, path / "mlflow.db")
    document = {
        "name": "small",
        "data": {"name": "digits"},
        "model": {"name": "shallow", "hidden_size": 16},
        "training": {"epochs": 10_000, "probe_samples": 0},
        "objective": {"metric": "valid/mse"},
    }
    (path / "small.yaml").write_text(json.dumps(document))
    home = session_home(path)
    sweep = home.start("run", "small.yaml")
    try:
        home.wait_for_epochs(sweep, 1)
        driver = psutil.Process(sweep.pid)
        processes = [driver, *driver.children(recursive=True)]
        (raylet,) = [process for process in processes if process.name() == "raylet"]
        (argument,) = [word for word in raylet.cmdline() if word.startswith("--raylet_socket_name=")]
        yield Running(processes, Path(argument.partition("=")[2]).parents[2])
    finally:
        sweep.terminate()
        sweep.communicate(timeout=60)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[ServedUi]:
    """A UI for an empty store."""
    folder = tmp_path_factory.mktemp("ui")
    shutil.copy(empty_store, folder / "mlflow.db")
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "SWEEPS_HOME": str(folder)}
    with served_ui(environment, folder) as served:
        yield served


def test_ray_listens_on_this_machine_only(running: Running) -> None:
    assert len(running.ports) >= 5  # GCS, raylet, object manager, driver, worker
    assert {address.removeprefix("::ffff:") for address in running.ports.values()} == {"127.0.0.1"}


def test_no_port_of_ray_answers_without_the_token(running: Running) -> None:
    """As gRPC and as HTTP: the requests of a Ray client that wants to run code, and of one that reads metrics."""
    code = """
answers = {}
for port in given:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method in ("NodeInfoGcsService/GetClusterId", "NodeInfoGcsService/CheckAlive",
                       "InternalKVGcsService/InternalKVKeys", "NodeManagerService/RequestWorkerLease",
                       "CoreWorkerService/PushTask", "ObjectManagerService/Pull", "ReporterService/GetTraceback"):
            for metadata in ([], [("authorization", "Bearer wrong")]):
                try:
                    channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=5, metadata=metadata)
                    answers[f"{port} {method}"] = "answered"
                except grpc.RpcError as error:
                    answers[f"{port} {method}"] = error.code().name
    for path in ("/metrics", "/", "/api/job_agent/jobs/", "/get_or_create_runtime_env"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answers[f"{port} {path}"] = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            answers[f"{port} {path}"] = type(error).__name__
print(json.dumps(answers))
"""
    answers = as_nobody(code, list(running.ports))
    assert "UNAUTHENTICATED" in answers.values()
    answered = {request: answer for request, answer in answers.items() if answer in ("answered", 200)}
    assert answered == {}


def test_the_folder_and_the_sockets_of_ray_are_closed(running: Running) -> None:
    assert len(running.sockets) >= 2  # raylet and object store
    code = """
import socket
opened = []
for path in given:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            opened.append(path)
    except PermissionError:
        pass
    try:
        opened += os.listdir(os.path.dirname(path))
    except PermissionError:
        pass
print(json.dumps(opened))
"""
    assert as_nobody(code, [*running.sockets, f"{running.ray_folder}/x"]) == []


def test_the_token_of_ray_is_nowhere_to_be_read(running: Running) -> None:
    environments = [process.environ() for process in running.processes if process.name() in ("raylet", "gcs_server")]
    (token,) = {environment["RAY_AUTH_TOKEN"] for environment in environments}
    assert len(token) == 64
    assert as_nobody(PROCESSES_WITH, token) == []


def test_the_ui_answers_nobody_without_the_token(ui: ServedUi) -> None:
    code = """
answers = {}
for method, path, body in (
    ("GET", "/", None), ("GET", "/static-files/favicon.ico", None), ("GET", "/version", None),
    ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 1}),
    ("POST", "/ajax-api/2.0/mlflow/experiments/search", {"max_results": 1}),
    ("POST", "/graphql", {"query": "{ __typename }"}),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts", None),
    ("GET", "/ajax-api/3.0/mlflow/assistant/config", None),
):
    connection = http.client.HTTPConnection("127.0.0.1", given, timeout=10)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answers[path] = connection.getresponse().status
print(json.dumps(answers))
"""
    assert set(as_nobody(code, ui.port).values()) == {401}


def test_no_file_is_read_through_a_registered_artifact_location(ui: ServedUi, tmp_path: Path) -> None:
    """The attack of the review: an experiment whose artifacts are a folder of the owner, and its files through it."""
    tmp_path.chmod(0o700)
    (tmp_path / "key.txt").write_text("the-secret")
    code = """
def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", given["port"], timeout=10)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.read().decode()
def value(text, *keys):
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    for key in keys:
        found = found.get(key, {})
    return found
api = "/api/2.0/mlflow"
created = ask("POST", f"{api}/experiments/create", {"name": "x", "artifact_location": given["folder"]})
run = ask("POST", f"{api}/runs/create", {"experiment_id": value(created, "experiment_id")})
run_id, root = value(run, "run", "info", "run_id"), value(run, "run", "info", "artifact_uri")
# A run's folder lies below the experiment's: an artifact is written there, and read back, in the owner's name.
written = ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=planted.txt", {"a": 1})
read = ask("GET", f"/get-artifact?path=planted.txt&run_uuid={run_id}")
print(json.dumps([created, run, written, read]))
"""
    answers = as_nobody(code, {"port": ui.port, "folder": str(tmp_path)})
    assert all("requires a token" in answer for answer in answers), answers
    assert [path.name for path in tmp_path.iterdir()] == ["key.txt"]


def test_the_token_of_the_ui_is_nowhere_to_be_read(ui: ServedUi) -> None:
    assert as_nobody(PROCESSES_WITH, ui.token) == []


# The folders of sweeps below SWEEPS_HOME are checked here once they are private.
