"""The lock and the modes of a new SQLite store."""

import os
import stat
from pathlib import Path

import pytest

from sweeps.errors import StorageError
from sweeps.tracking.mlflow.client import MlflowStore
from sweeps.tracking.mlflow.connection import Unavailable, _lock_new_store

pytestmark = pytest.mark.slow


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_a_new_store_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        MlflowStore(f"sqlite:///{tmp_path}/new/mlflow.db", "digits", "sweep")
    finally:
        os.umask(before)
    made = {path.name: mode(path) for path in (tmp_path / "new").iterdir()}
    assert mode(tmp_path / "new") == "0o700"
    assert made["mlflow.db"] == made["mlflow.db.lock"] == "0o600"
    assert made["mlartifacts"] == "0o700"


@pytest.mark.timeout(60)
def test_a_planted_lock_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "mlflow.db.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Unavailable, match=r"mlflow\.db\.lock must be a regular file"):
        MlflowStore(f"sqlite:///{tmp_path}/mlflow.db", "digits", "sweep")
    assert (tmp_path / "precious").read_text() == "precious"
    (tmp_path / "mlflow.db.lock").unlink()
    os.mkfifo(tmp_path / "mlflow.db.lock")
    with pytest.raises(StorageError), _lock_new_store(f"sqlite:///{tmp_path}/mlflow.db"):
        pass


def test_nothing_predictable_lies_in_the_shared_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    with _lock_new_store(f"sqlite:///{tmp_path}/mlflow.db"):
        assert list(shared.iterdir()) == []
