"""Files and folders that only their owner can use; the attacker is a second process of another user."""

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.errors import StorageError, SweepLocked
from sweeps.storage import atomic_write, layout, private_files
from sweeps.storage.object_store import RemotePath
from sweeps.storage.private_files import (
    is_inside,
    make_folder,
    open_file,
    read_file,
    refuse_links,
    remove_tree,
    user_folder,
)
from sweeps.storage.sweep_lock import is_owned, own_sweep, owner_of
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import SweepRecord

NOBODY = 65534
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@pytest.fixture(autouse=True)
def _readable_by_all() -> object:
    """Run with the umask under which files are readable by everybody unless the code says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def read_as_nobody(path: Path) -> tuple[str, str]:
    """Read a file as another user does; return the content and the error."""
    done = subprocess.run(
        ["cat", path], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="plants files of another user")


def test_a_sweep_and_its_records_are_private(own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own_home.chmod(0o755)
    monkeypatch.setenv("SWEEPS_LOCAL", str(tmp_path / "local"))
    folder = layout.create("mine")
    record = SweepRecord(folder.id, "mine", "mine", {"name": "mine"}, 0)
    with own_sweep(folder), Journal.create(folder.journal, record) as journal:
        journal.record_progress(1, {"a": 1.0}, 1)
        folder.write_config("name: mine\n")
        make_folder(folder.point("0000").path)
        made = [own_home / "sweeps", *(own_home / "sweeps").rglob("*")]
        made += [tmp_path / "local", *(tmp_path / "local").rglob("*")]
        assert {path.name for path in made} >= {"journal.db", "journal.db-wal", "journal.db-shm", "sweep.yaml"}
        assert {path.name: oct(mode(path)) for path in made} == {
            path.name: oct(0o700 if path.is_dir() else 0o600) for path in made
        }
    assert mode(own_home) == 0o755  # it was there before


def test_a_home_with_the_setgid_bit_is_shared_with_its_group(own_home: Path) -> None:
    own_home.chmod(0o2750)
    folder = layout.create("ours")
    with own_sweep(folder):
        folder.write_config("name: ours\n")
    assert {oct(mode(path)) for path in (folder.path, folder.path.parent)} == {"0o2770"}
    assert {oct(mode(path)) for path in (folder.lock, folder.path / "sweep.yaml")} == {"0o660"}
    assert mode(own_home) == 0o2750


@needs_root
def test_another_user_cannot_read_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        monkeypatch.setenv("SWEEPS_HOME", name)
        folder = layout.create("mine")
        folder.write_config("name: mine\n")
        (home / "notes").write_text("public")
        assert read_as_nobody(home / "notes") == ("public", "")
        content, error = read_as_nobody(folder.config)
        assert content == ""
        assert "Permission denied" in error


def special(kind: str, path: Path) -> None:
    if kind == "link":
        target = path.with_name("target of the link")
        target.write_text("precious")
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "planted"
    special(kind, path)
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_APPEND):
        with pytest.raises(StorageError, match="planted must be a regular file"):
            os.close(open_file(path, flags))
    with pytest.raises(StorageError, match="planted must be a regular file"):
        read_file(path, 10)
    if kind == "link":
        assert (tmp_path / "target of the link").read_text() == "precious"


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(StorageError, match="at most 4 bytes"):
        read_file(path, 4)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["link", "fifo", "device"])
def test_a_planted_lock_of_a_sweep_is_refused(kind: str) -> None:
    folder = layout.create("mine")
    special(kind, folder.lock)
    for use in (lambda: own_sweep(folder).__enter__(), lambda: is_owned(folder), lambda: owner_of(folder)):
        with pytest.raises(StorageError, match=r"held-by\.json must be a regular file"):
            use()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b'{"host": 1}', b'{"host": "h", "pid": -1, "started": 0}', b"9" * 9999]
)
def test_a_damaged_lock_names_no_owner(content: bytes) -> None:
    folder = layout.create("mine")
    with own_sweep(folder):
        folder.lock.write_bytes(content)
        assert is_owned(folder)
        assert owner_of(folder) is None
        with pytest.raises(SweepLocked, match="another process"), own_sweep(folder):
            pass


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    refuse_links(tmp_path)
    refuse_links(tmp_path / "missing")
    (tmp_path / "planted").symlink_to(tmp_path / "real")
    with pytest.raises(StorageError, match="planted must not be a link"):
        refuse_links(tmp_path)


def test_a_path_is_inside_a_folder_only_if_its_links_are(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "out").symlink_to(other)
    assert is_inside(folder, "file")
    assert is_inside(RemotePath("s3://bucket/folder"), "points/file")
    for name in ("out/file", "../folder/file", "/etc/passwd", str(folder / "file")):
        assert not is_inside(folder, name)
    assert not is_inside(RemotePath("s3://bucket/folder"), "../file")


def test_a_folder_is_removed_without_following_links(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    (folder / "deep").mkdir(parents=True)
    other.mkdir()
    (other / "precious").touch()
    (folder / "link").symlink_to(other)
    (folder / "deep" / "link").symlink_to(other)
    remove_tree(folder)
    assert not folder.exists()
    assert (other / "precious").exists()
    folder.symlink_to(other)
    with pytest.raises(OSError):
        remove_tree(folder)
    assert (other / "precious").exists()


def test_a_file_is_written_privately_and_whole(tmp_path: Path) -> None:
    atomic_write.write_or_raise(tmp_path / "file", b"content")
    assert (mode(tmp_path / "file"), (tmp_path / "file").read_bytes()) == (0o600, b"content")
    with pytest.raises(FileExistsError):
        os.close(open_file(tmp_path / "file", NEW))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this folder be the one for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    private_files._own_temporary_folder.cache_clear()
    return tmp_path / f"sweeps-{os.getuid()}"


def test_processes_of_a_user_share_a_private_temporary_folder(temporary: Path) -> None:
    assert user_folder() == user_folder() == temporary
    assert mode(temporary) == 0o700


def plant_link(path: Path) -> None:
    path.symlink_to(path.parent)


def plant_open(path: Path) -> None:
    path.mkdir(0o777)
    path.chmod(0o777)


def plant_of_another_user(path: Path) -> None:
    path.mkdir(0o700)
    os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize(
    "plant", [plant_link, plant_open, Path.touch, pytest.param(plant_of_another_user, marks=needs_root)]
)
def test_a_planted_temporary_folder_is_not_used(temporary: Path, plant: Callable[[Path], None]) -> None:
    plant(temporary)
    used = user_folder()
    assert used != temporary
    assert used == user_folder()
    assert mode(used) == 0o700
    assert used.stat().st_uid == os.getuid()


def test_a_folder_is_made_where_nothing_else_is(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    make_folder(made, exist_ok=False)
    make_folder(made)
    with pytest.raises(FileExistsError):
        make_folder(made, exist_ok=False)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
