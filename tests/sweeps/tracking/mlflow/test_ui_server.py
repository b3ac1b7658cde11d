"""The server of `sweeps ui` as its owner uses it, against records that name folders outside the store."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from served_ui import Answer, ServedUi, served_ui

pytestmark = pytest.mark.slow

SECRET = "the-secret"  # noqa: S105
API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"


@dataclass(frozen=True)
class Planted:
    """A UI whose store has records of a folder outside it, and of a folder of its own."""

    ui: ServedUi
    folder: Path
    outside: Path
    run: str
    own_run: str
    model: LoggedModel


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Planted]:
    folder, outside = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("outside")
    (outside / "key.txt").write_text(SECRET)
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.create_experiment("planted", outside.as_uri())
    run = client.create_run(experiment).info
    Path(run.artifact_uri.removeprefix("file://")).mkdir(parents=True)
    (Path(run.artifact_uri.removeprefix("file://")) / "key.txt").write_text(SECRET)
    model = client.create_logged_model(experiment, "planted")
    Path(model.artifact_location.removeprefix("file://")).mkdir(parents=True)
    (Path(model.artifact_location.removeprefix("file://")) / "key.txt").write_text(SECRET)
    client.create_registered_model("planted")
    client.create_model_version("planted", outside.as_uri(), run.run_id)
    own = client.create_run(client.create_experiment("own", (folder / "mlartifacts" / "own").as_uri())).info
    artifacts = folder / "mlartifacts" / "own" / own.run_id / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "figure.txt").write_text("a figure")
    (artifacts / "link").symlink_to(outside)
    (folder / "mlartifacts" / "link").symlink_to(outside)
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "SWEEPS_HOME": str(folder / "home")}
    with served_ui(environment, folder) as ui:
        yield Planted(ui, folder, outside, run.run_id, own.run_id, model)


def refused(answer: Answer) -> bool:
    """Whether an answer is an error without the secret."""
    return answer.status >= 400 and SECRET not in answer.text


def test_its_own_artifacts_are_served(planted: Planted) -> None:
    ask, run = planted.ui.ask_as_owner, planted.own_run
    assert ask(f"/get-artifact?path=figure.txt&run_uuid={run}").text == "a figure"
    assert "figure.txt" in ask(f"{AJAX}/artifacts/list?run_id={run}").text
    assert ask(f"/api/2.0/mlflow-artifacts/artifacts/own/{run}/artifacts/figure.txt").text == "a figure"


@pytest.mark.parametrize("api", [API, AJAX])
def test_artifacts_of_a_run_outside_are_neither_listed_nor_read(planted: Planted, api: str) -> None:
    ask = planted.ui.ask_as_owner
    for path in (
        f"{api}/artifacts/list?run_id={planted.run}",
        f"/get-artifact?path=key.txt&run_uuid={planted.run}",
        f"/get-artifact?path=key.txt&run_id={planted.run}",
    ):
        answer = ask(path)
        assert answer.status == 403, path
        assert "must lie in" in answer.text, path
        assert SECRET not in answer.text


def test_graphql_lists_no_artifacts_of_a_run_outside(planted: Planted) -> None:
    query = (
        'query Q($data: MlflowListArtifactsInput!) @component(name: "x") '
        "{ mlflowListArtifacts(input: $data) { files { path } apiError { message } } }"
    )
    for run, shown in ((planted.own_run, True), (planted.run, False)):
        body = {"query": query, "operationName": "Q", "variables": {"data": {"runId": run}}}
        answer = planted.ui.ask_as_owner("/graphql", body)
        assert ("figure.txt" in answer.text) is shown, answer.text
        assert "key.txt" not in answer.text


def test_artifacts_of_a_model_outside_are_neither_listed_nor_read(planted: Planted) -> None:
    ask, model = planted.ui.ask_as_owner, planted.model.model_id
    assert refused(ask(f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?artifact_file_path=key.txt"))
    assert refused(ask(f"{API}/logged-models/{model}/artifacts/directories"))
    assert refused(ask("/model-versions/get-artifact?name=planted&version=1&path=key.txt"))


@pytest.mark.parametrize("path", ["link/key.txt", "../../../mlflow.db", "%2e%2e/%2e%2e/mlflow.db", "/etc/passwd"])
def test_links_and_parents_lead_nowhere(planted: Planted, path: str) -> None:
    ask, run = planted.ui.ask_as_owner, planted.own_run
    assert refused(ask(f"/get-artifact?path={quote(path)}&run_uuid={run}"))
    assert refused(ask(f"/api/2.0/mlflow-artifacts/artifacts/own/{run}/artifacts/{path}"))
    assert refused(ask(f"/ajax-api/2.0/mlflow-artifacts/artifacts/{path}"))


def test_files_outside_are_neither_written_nor_deleted(planted: Planted) -> None:
    proxied = "/api/2.0/mlflow-artifacts/artifacts/link"
    assert refused(planted.ui.ask_as_owner(f"{proxied}/new.txt", {"a": 1}, "PUT"))
    assert refused(planted.ui.ask_as_owner(f"{proxied}/key.txt", method="DELETE"))
    assert refused(planted.ui.ask_as_owner(f"{AJAX}/upload-artifact?run_uuid={planted.run}&path=new.txt", {"a": 1}))
    assert {path.name for path in planted.outside.iterdir() if path.is_file()} == {"key.txt"}


def locations(planted: Planted) -> list[str]:
    folder, outside = planted.folder, planted.outside
    return [
        outside.as_uri(),
        str(outside),
        "/",
        (folder / "mlartifacts" / ".." / "..").as_uri(),
        f"file://{folder}/mlartifacts/%2e%2e/%2e%2e/outside",
        f"file://localhost{outside}",
        f"FILE://{outside}",
        (folder / "mlartifacts" / "link").as_uri(),
        f"{folder}/mlartifacts-other",
        "relative",
        f"file://{folder}/mlartifacts/%00",
    ]


def test_no_experiment_is_created_outside(planted: Planted) -> None:
    created = []
    for index, location in enumerate(locations(planted)):
        body = {"name": f"evil-{index}", "artifact_location": location}
        for api in (API, AJAX):
            answer = planted.ui.ask_as_owner(f"{api}/experiments/create", body)
            assert answer.status < 500, (location, answer.text)
            created += [location] if answer.status == 200 else []
    assert created == []
    found = planted.ui.ask_as_owner(f"{API}/experiments/search", {"max_results": 100}).text
    assert "evil" not in found


def test_no_run_or_model_is_created_in_an_experiment_outside(planted: Planted) -> None:
    experiment = MlflowClient(f"sqlite:///{planted.folder}/mlflow.db").get_experiment_by_name("planted")
    body: dict[str, Any] = {"experiment_id": experiment.experiment_id}
    assert refused(planted.ui.ask_as_owner(f"{API}/runs/create", body))
    assert refused(planted.ui.ask_as_owner(f"{API}/logged-models", body | {"name": "evil"}))


def test_experiments_inside_and_remote_ones_are_created(planted: Planted) -> None:
    inside = (planted.folder / "mlartifacts" / "new").as_uri()
    for name, location in (("inside", inside), ("remote", "s3://bucket/prefix"), ("default", None)):
        body = {"name": name} | ({"artifact_location": location} if location else {})
        answer = planted.ui.ask_as_owner(f"{API}/experiments/create", body)
        assert answer.status == 200, answer.text
        experiment = json.loads(answer.text)["experiment_id"]
        assert planted.ui.ask_as_owner(f"{API}/runs/create", {"experiment_id": experiment}).status == 200


def test_mlflow_still_refuses_foreign_hosts_and_origins(planted: Planted) -> None:
    ask, search = planted.ui.ask_as_owner, f"{API}/experiments/search"
    assert ask(search, {"max_results": 1}).status == 200
    assert ask(search, {"max_results": 1}, Host="evil.example:5000").status == 403
    assert ask(search, {"max_results": 1}, Origin="https://evil.example").status == 403
    assert ask(search, {"max_results": 1}, Origin="http://127.0.0.1:1").status == 403
    assert ask(search, {"max_results": 1}, Origin=planted.ui.address).status == 200


def start(store: Path) -> subprocess.Popen[str]:
    """`sweeps ui` for a store, on a port of its own and in a process group of its own, as a terminal starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        command = [sys.executable, "-m", "sweeps", "ui", "--port", str(probe.getsockname()[1])]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}", "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def test_ctrl_c_ends_it_quietly(tmp_path: Path, empty_store: Path) -> None:
    process = start(Path(shutil.copy(empty_store, tmp_path / "mlflow.db")))
    assert process.stdout is not None
    assert "(stop with Ctrl-C)" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_a_store_that_is_no_database_is_refused_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is a file of text and not a database")
    output, errors = start(tmp_path / "mlflow.db").communicate(timeout=120)
    assert output == ""
    opening, end = errors.splitlines()
    assert opening == "MLflow cannot open the store: (sqlite3.DatabaseError) file is not a database"
    assert "the MLflow server must start, and ended with status 1" in end


def test_the_client_of_mlflow_gets_in_with_the_token_alone(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", planted.ui.token)
    assert MlflowClient(planted.ui.address).get_run(planted.own_run).info.run_id == planted.own_run
