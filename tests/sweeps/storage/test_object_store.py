"""Files in an object store: in memory here, on a real S3 server in the end-to-end tests."""

from pathlib import Path
from secrets import token_hex

import pytest

from sweeps.errors import InputError, StorageError
from sweeps.storage import atomic_write, object_store
from sweeps.storage.object_store import RemotePath, place


@pytest.fixture
def store() -> RemotePath:
    found = place(f"memory://{token_hex(4)}/home")
    assert isinstance(found, RemotePath)
    return found


def test_a_written_file_is_read_and_listed(store: RemotePath) -> None:
    file = store / "sweeps" / "s" / "best.safetensors"
    assert not file.exists()
    assert atomic_write.write(file, b"network", synced=True)
    assert file.read_bytes() == b"network"
    assert list(store.iterdir()) == [store / "sweeps"]
    assert list(file.parent.iterdir()) == [file]
    assert (store / "sweeps").is_dir()
    assert not file.is_dir()


def test_a_file_is_renamed_and_removed(store: RemotePath) -> None:
    file = store / "a"
    file.write_bytes(b"1")
    file.replace(file.with_name("b"))
    assert [path.name for path in store.iterdir()] == ["b"]
    (store / "b").unlink()
    (store / "b").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (store / "b").unlink()
    with pytest.raises(FileNotFoundError):
        (store / "b").read_bytes()


def test_a_tree_is_removed_with_its_files(store: RemotePath) -> None:
    (store / "sweeps" / "s" / "points" / "0000" / "best.safetensors").write_bytes(b"1")
    (store / "sweeps" / "s").remove_tree()
    assert not (store / "sweeps" / "s").exists()


def test_a_url_keeps_its_options() -> None:
    url = "s3://bucket/prefix/sweeps?region=eu-west-1"
    assert str(place(url)) == url
    assert str(place(url) / "s") == "s3://bucket/prefix/sweeps/s?region=eu-west-1"
    assert place(str(place(url) / "s")) == place(url) / "s"


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:planted@bucket/x",
        "hdfs://:planted@host/x",
        "s3://bucket/x?secret_key=planted",
        "s3://bucket/x?session_token=planted",
    ],
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(InputError, match="AWS_SECRET_ACCESS_KEY") as refusal:
        place(url)
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["abfss://container@account.dfs.core.windows.net/sweeps", "hdfs://user@namenode:8020/sweeps"]
)
def test_a_url_may_have_a_container_or_a_user_before_its_host(url: str) -> None:
    assert str(place(url) / "s") == f"{url}/s"


def test_local_paths_are_paths() -> None:
    assert place("/a/b") == place("file:///a/b") == Path("/a/b")


def test_an_unknown_kind_of_store_is_refused_in_one_line() -> None:
    with pytest.raises(StorageError, match="is not reachable") as refusal:
        place("gopher://x/y").exists()
    assert not refusal.value.passes


def test_a_write_treats_an_unreachable_store_as_a_full_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 0.0)
    silent = place("s3://bucket/x?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1")
    assert not atomic_write.write(silent, b"1")
    with pytest.raises(StorageError) as refusal:
        silent.read_bytes()
    assert refusal.value.passes
