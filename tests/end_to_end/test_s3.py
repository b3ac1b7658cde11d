"""A sweep on a real S3 server: its driver and the disk of its host are lost, and another host goes on with it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import wait_until

from sweeps.storage import object_store
from sweeps.storage.layout import SweepFolder
from sweeps.storage.lease import lease_owner
from sweeps.storage.object_store import RemotePath
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.journal.segments import read_segments

pytestmark = pytest.mark.slow


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemotePath]:
    """A bucket's `home`, which this process and those that it starts reach."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    for name, value in (credentials | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}).items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "s3.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: server.poll() is not None or has_bucket(port), (tmp_path / "s3.log").read_text)
        assert server.poll() is None, (tmp_path / "s3.log").read_text()
        object_store._file_system.cache_clear()  # which is the client of the server of another test
        yield RemotePath("s3://bucket/home")
    finally:
        server.kill()
        server.wait()


def has_bucket(port: int) -> bool:
    """Make the bucket; False while the server does not answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
    try:
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 (our own server)
    except (urllib.error.URLError, OSError):
        return False
    return True


def test_a_sweep_in_s3_outlives_its_host(
    home: Any, sweep_file: Callable[..., str], s3: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"SWEEPS_HOME": str(s3), "SWEEPS_LOCAL": str(home.path / "first")}
    lengths = {"training.epochs": {"grid": [40, 2000]}}  # one ends while the other has long to go
    training = {"epochs": 40, "probe_samples": 0}
    path = sweep_file(training=training, search=lengths, algorithm={"name": "grid"})
    process = home.start("run", path, "--json", **here)

    def folder() -> SweepFolder | None:
        return next((SweepFolder(path) for path in (s3 / "sweeps").iterdir()), None)

    def one_has_ended() -> bool:
        found = folder()
        return found is not None and any(row[1] == "point_end" for row in read_segments(found.segments).rows)

    home.wait_until(process, one_has_ended)
    process.kill()
    process.communicate()
    sweep = folder()
    assert sweep is not None
    committed = list(read_segments(sweep.segments).rows)
    shutil.rmtree(home.path / "first")

    there = here | {"SWEEPS_LOCAL": str(home.path / "second")}
    assert home.run_json("status", sweep.id, **there)["state"] == "INTERRUPTED"
    assert home.run_json("best", sweep.id, **there)["ranking"]
    printed = home.run_json("resume", sweep.id, **there)
    assert (printed["state"], printed["trials"], printed["failed"], printed["undelivered"]) == ("FINISHED", 2, 0, 0)
    assert home.run_json("status", sweep.id, **there)["state"] == "FINISHED"
    assert home.run_json("sync", sweep.id, **there)["undelivered"] == 0
    measured = home.run_json("evaluate", sweep.id, **there)
    assert home.run_json("diagnose", f"{sweep.id}/{measured['trial']}", **there)["trial"] == measured["trial"]
    assert [found["sweep"] for found in home.run_json("list", **there)["sweeps"]] == [sweep.id]

    monkeypatch.setenv("SWEEPS_LOCAL", str(home.path / "third"))
    with read_journal(sweep) as journal:
        assert journal.rows(1, len(committed)) == committed
        for point in journal.points():
            assert [epoch for epoch, _ in journal.history(point.point_id)] == list(
                range(1, 1 + point.point["training.epochs"])
            )
    recorded, stored = type(home)(home.path / "second", home.path / "mlflow.db").recorded_and_stored(sweep.id)
    assert stored == recorded
    assert "testing" not in (home.path / "mlflow.db").read_bytes().decode(errors="ignore")

    home.run_json("delete", sweep.id, **there)
    assert not sweep.path.exists()


def test_a_host_that_was_cut_off_ends_and_leaves_the_sweep_to_the_one_that_took_it_up(
    home: Any, sweep_file: Callable[..., str], s3: RemotePath
) -> None:
    path = sweep_file(training={"epochs": 100_000, "probe_samples": 0})
    process = home.start("run", path, "--json", SWEEPS_HOME=str(s3), SWEEPS_LOCAL=str(home.path / "first"))

    def sweep() -> SweepFolder | None:
        found = next((SweepFolder(path) for path in (s3 / "sweeps").iterdir()), None)
        trains = found is not None and any(row[1] == "epoch" for row in read_segments(found.segments).rows)
        return found if trains else None

    home.wait_until(process, lambda: sweep() is not None)
    folder = sweep()
    assert folder is not None
    assert folder.lease is not None
    other = {"host": "there", "pid": 2, "started": 2}

    def has_ended() -> bool:
        if process.poll() is not None:
            return True
        # Again and again: a renewal may have been under way.
        folder.lease.write_bytes(json.dumps({"holder": other, "renewed": time.time()}).encode())
        return False

    wait_until(has_ended, pause=0.5)
    _, told = process.communicate()
    assert process.returncode == 2
    assert f"{folder.id} must be run by one process at a time, and another took it over" in told
    assert "sweep_end" not in [row[1] for row in read_segments(folder.segments).rows]
    assert lease_owner(folder.lease) == other


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_refused_before_anything_starts(
    home: Any, sweep_file: Callable[..., str]
) -> None:
    done = home.sweeps("run", sweep_file(), SWEEPS_HOME="s3://no-such-bucket/home", SWEEPS_LOCAL=str(home.path))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "SWEEPS_HOME must name a store that can be written" in line
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in line
