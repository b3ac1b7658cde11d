import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from raw_server import OK, PACE_SECONDS, answer_with, raw_server, redirect_to, repeat

from sweeps.errors import TrackingError
from sweeps.tracking.mlflow.uri import (
    artifact_location,
    check_tracker,
    existing_store,
    experiment_link,
    run_link,
    tracking_uri,
    without_credentials,
)

CREDENTIALS = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@pytest.fixture(autouse=True)
def no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str | None]]]:
    """A server that answers every request with `status` and records its credentials."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_default_is_a_sqlite_file_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"


def test_environment_names_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert tracking_uri() == "http://tracker:5000"


def test_reading_from_a_folder_without_a_store_creates_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrackingError, match="set MLFLOW_TRACKING_URI"):
        existing_store()
    assert not list(tmp_path.iterdir())
    (tmp_path / "mlflow.db").touch()
    assert existing_store() == f"sqlite:///{tmp_path}/mlflow.db"


def test_relative_sqlite_path_is_made_absolute_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = tracking_uri("sqlite:///runs/x.db?timeout=3")
    assert absolute == f"sqlite:///{tmp_path}/runs/x.db?timeout=3"
    assert tracking_uri(absolute) == absolute


def test_artifacts_are_stored_beside_a_sqlite_store_whatever_the_working_folder(tmp_path: Path) -> None:
    assert artifact_location(f"sqlite:///{tmp_path}/x.db", "a / b") == f"file://{tmp_path}/mlartifacts/a-b"


@pytest.mark.parametrize("experiment", ["..", ".", "../../elsewhere", "/etc"])
def test_artifacts_stay_beside_a_sqlite_store_whatever_the_experiment_is_named(tmp_path: Path, experiment: str) -> None:
    location = Path((artifact_location(f"sqlite:///{tmp_path}/x.db", experiment) or "").removeprefix("file://"))
    assert location.resolve().parent == tmp_path / "mlartifacts"


def test_a_server_decides_where_artifacts_are_stored() -> None:
    assert artifact_location("http://tracker:5000", "e") is None


@pytest.mark.parametrize(
    "text",
    [
        "http://me:hunter2@tracker:5000/x",
        "http://hunter2@tracker:5000/x",
        "failed: https://me:hun@hunter2@tracker/api (no route)",
        "postgresql+psycopg2://me:hunter2@db/mlflow",
        "postgresql://db/mlflow?user=me&password=hunter2",
    ],
)
def test_credentials_are_taken_out(text: str) -> None:
    assert "hunter2" not in without_credentials(text)
    assert "tracker" in without_credentials(text) or "db/mlflow" in without_credentials(text)


def test_secrets_of_the_environment_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    assert "hunter2" not in without_credentials("Bearer hunter2 is not valid")


def test_links_open_the_runs_without_credentials() -> None:
    link = experiment_link("http://me:hunter2@tracker:5000/", "3")
    assert link == "http://tracker:5000/#/experiments/3/runs?workflowType=machine_learning"
    assert run_link("", "3", "r") == "#/experiments/3/runs/r?workflowType=machine_learning"


def test_server_that_answers_is_accepted() -> None:
    with answering(200) as (address, _):
        check_tracker(f"http://{address}")


def test_credentials_of_the_uri_are_sent() -> None:
    with answering(200) as (address, seen):
        check_tracker(f"http://me:hunter2@{address}")
    assert seen == ["Basic bWU6aHVudGVyMg=="]


def test_token_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    with answering(200) as (address, seen):
        check_tracker(f"http://{address}")
    assert seen == ["Bearer hunter2"]


def test_wrong_password_is_reported_without_it() -> None:
    with answering(401) as (address, _), pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        check_tracker(f"http://me:hunter2@{address}")
    assert "hunter2" not in str(caught.value)
    assert len(caught.value.issues) == 1


def test_server_that_is_no_mlflow_is_reported() -> None:
    with answering(404) as (address, _), pytest.raises(TrackingError, match="status 404"):
        check_tracker(f"http://{address}")


def test_server_that_is_not_there_is_reported_without_credentials() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(TrackingError, match=r"does not answer .*refused.*--offline") as caught:
        check_tracker(f"http://me:hunter2@127.0.0.1:{port}")
    assert "hunter2" not in str(caught.value)


def test_a_silent_server_is_reported_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TrackingError, match="timed out"):
        check_tracker(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2)


def test_unknown_host_is_reported() -> None:
    with pytest.raises(TrackingError, match="does not answer"):
        check_tracker("http://nowhere.invalid:5000", timeout_seconds=2)


def test_database_that_is_not_there_is_reported_without_its_password() -> None:
    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:1 does not answer") as caught:
        check_tracker("postgresql://me:hunter2@127.0.0.1:1/mlflow")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("uri", ["mlruns", "/somewhere/mlruns", "file:///somewhere/mlruns"])
def test_plain_folder_is_refused_naming_the_sqlite_uri(uri: str) -> None:
    with pytest.raises(TrackingError, match=r"Set it to sqlite:////.*mlruns/mlflow\.db"):
        check_tracker(uri)


def test_new_sqlite_store_is_accepted(tmp_path: Path) -> None:
    check_tracker(f"sqlite:///{tmp_path}/new/folder/mlflow.db")


def test_file_that_is_no_sqlite_store_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("a letter, not a database")
    with pytest.raises(TrackingError, match="must be a SQLite database"):
        check_tracker(f"sqlite:///{path}")


def test_folder_in_place_of_a_sqlite_store_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="cannot be written"):
        check_tracker(f"sqlite:///{tmp_path}")


def test_path_below_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot be written"):
        check_tracker(f"sqlite:///{tmp_path}/file/mlflow.db")


@pytest.mark.parametrize("credentials", ["", "me:hunter2@"])
@pytest.mark.parametrize("status", [302, 307])
def test_credentials_follow_no_redirect(credentials: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    with (
        raw_server(answer_with(b"{}")) as other,
        raw_server(redirect_to(other, status)) as server,
        pytest.raises(TrackingError, match=f"redirects to {other.host}, and credentials must not") as caught,
    ):
        check_tracker(f"http://{credentials}{server.host}")
    assert "Authorization: " in server.seen[0]
    assert other.seen == []
    assert "hunter2" not in str(caught.value)


def test_an_endless_answer_is_refused() -> None:
    with (
        raw_server(repeat(OK + b"\r\n", bytes(2**20))) as server,
        pytest.raises(TrackingError, match=r"does not answer \(sends more than 16 MB\)"),
    ):
        check_tracker(server.url)


def test_an_answer_that_drips_is_reported_in_time() -> None:
    with (
        raw_server(repeat(OK + b"\r\n", b" ", PACE_SECONDS)) as server,
        pytest.raises(TrackingError, match="timed out"),
    ):
        check_tracker(server.url, timeout_seconds=0.3)


def test_a_token_that_cannot_be_sent_is_refused_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2\nplanted")
    with pytest.raises(TrackingError, match="without line breaks") as caught:
        check_tracker("http://127.0.0.1:9")
    assert "planted" not in str(caught.value)
