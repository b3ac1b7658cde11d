"""MLflow's own client against servers that attack."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from raw_server import OK, PACE_SECONDS, answer_with, raw_server, redirect_to, repeat

from sweeps.bounded_http import MEGABYTE, Limits
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.mlflow import bounded_requests
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.connection import Unavailable
from sweeps.tracking.mlflow.shipper import Shipper, sync

SECONDS = 1
DRIPPING = repeat(OK + b"\r\n", b" ", PACE_SECONDS)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.parametrize("credentials", ["me:hunter2@", ""])
@pytest.mark.parametrize("status", [302, 307])
def test_credentials_follow_no_redirect(credentials: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not credentials:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    with (
        raw_server(answer_with(b"{}")) as other,
        raw_server(redirect_to(other, status)) as server,
        pytest.raises(Unavailable, match=f"{server.host} redirects to {other.host}, and cred") as raised,
    ):
        MlflowStore(f"http://{credentials}{server.host}", "experiment", "sweep")
    assert any("Authorization: " in head for head in server.seen)
    assert other.seen == []
    assert "hunter2" not in str(raised.value)


def test_an_answer_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_requests._Adapter, "limits", Limits(answer_bytes=MEGABYTE))
    with (
        raw_server(repeat(OK + b"\r\n", bytes(65536))) as server,
        pytest.raises(Unavailable, match="sends more than 1 MB in one answer"),
    ):
        MlflowStore(server.url, "experiment", "sweep")


@pytest.mark.parametrize(
    "answer",
    [
        b'{"experiments": [{"experiment_id": {"a": 1}}], "experiment": {"name": [{"a": 1}]}}',
        b'{"experiments": 3, "experiment": 3}',
        b'{"experiments": [[]], "experiment": [[]]}',
        b'{"experiments": ' + b"[" * 900 + b"]" * 900 + b"}",
    ],
    ids=["an object for a text", "a number", "a list for an object", "nested lists"],
)
def test_an_answer_with_values_of_other_types_is_an_error_of_mlflow(answer: bytes) -> None:
    with (
        raw_server(answer_with(answer)) as server,
        pytest.raises(Unavailable, match="the answer is not of the form of MLflow's API"),
    ):
        MlflowStore(server.url, "experiment", "sweep")


def test_an_artifact_that_is_too_large_is_not_downloaded_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded_requests.bound_requests()
    monkeypatch.setattr(bounded_requests._Adapter, "limits", Limits(transfer_bytes=MEGABYTE))
    with raw_server(repeat(OK + b"\r\n", bytes(65536))) as server:
        repository = HttpArtifactRepository(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/1")
        with pytest.raises(Exception, match="sends more than 1 MB"):
            repository._download_file("model", str(tmp_path / "model"))
    assert (tmp_path / "model").stat().st_size <= MEGABYTE


def test_delivery_to_a_server_whose_answers_drip_ends(write_journal: Callable[..., Journal]) -> None:
    journal = write_journal("dripping", n_points=1)
    with raw_server(DRIPPING) as server:
        start = time.monotonic()
        status = sync(journal, server.url, journal.path.parent, patience_seconds=0.5)
        assert time.monotonic() - start < 5
    assert status.n_undelivered > 0
    assert status.error == f"{server.url} does not answer in time"


def test_a_sweep_ends_while_the_answers_of_mlflow_drip(write_journal: Callable[..., Journal]) -> None:
    journal = write_journal("waiting", n_points=1)
    with raw_server(DRIPPING) as server:
        shipper = Shipper(journal, server.url, journal.path.parent)
        shipper.start()
        start = time.monotonic()
        assert shipper.close(patience_seconds=0.5) > 0
        assert time.monotonic() - start < 5
        shipper._thread.join(5)
        assert not shipper._thread.is_alive()
