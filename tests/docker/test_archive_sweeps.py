"""The archive of sweeps that docker/backup.sh makes while sweeps run."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docker" / "archive_sweeps.py"


def archive(home: Path) -> bytes:
    command, environment = [sys.executable, SCRIPT], os.environ | {"SWEEPS_HOME": str(home)}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout


def test_a_journal_that_is_being_written_is_complete_up_to_its_last_commit(tmp_path: Path) -> None:
    home, restored = tmp_path / "home", tmp_path / "restored"
    (home / "a-sweep").mkdir(parents=True)
    path = home / "a-sweep" / "journal.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE entries (body)")
        writer.executemany("INSERT INTO entries VALUES (?)", [(number,) for number in range(1000)])
        writer.commit()  # to the -wal file; the database's own file has no table yet
        writer.execute("INSERT INTO entries VALUES (-1)")
        made = archive(home)
        writer.rollback()
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert tar.getnames() == ["a-sweep", "a-sweep/journal.db"]
        tar.extractall(restored, filter="data")
    with closing(sqlite3.connect(restored / "a-sweep" / "journal.db")) as reader:
        assert reader.execute("SELECT count(*), min(body) FROM entries").fetchone() == (1000, 0)


def test_files_folders_and_links_keep_their_content_and_modes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "empty").mkdir(parents=True)
    secret = home / "a-sweep.yaml"
    secret.write_bytes(b"name: a\n")
    secret.chmod(0o600)
    (home / "latest").symlink_to("a-sweep.yaml")
    with tarfile.open(fileobj=io.BytesIO(archive(home))) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert set(members) == {"empty", "a-sweep.yaml", "latest"}
        assert members["empty"].isdir()
        assert members["a-sweep.yaml"].mode & 0o777 == 0o600
        assert members["latest"].linkname == "a-sweep.yaml"
        content = tar.extractfile("a-sweep.yaml")
        assert content is not None
        assert content.read() == b"name: a\n"
