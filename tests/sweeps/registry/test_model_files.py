"""A model's files are read from its own store only, within limits, and links are never followed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.store.artifact import artifact_repository_registry
from raw_server import answer_with, raw_server

from sweeps.errors import InputError
from sweeps.registry import model_files
from sweeps.registry.model_files import check_location, check_source, download_files

ID = "m-" + "0123456789abcdef" * 2


def test_the_source_of_a_version_is_a_logged_model() -> None:
    check_source(f"models:/{ID}")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "file:///etc",
        "/etc",
        "http://127.0.0.1/model",
        "s3://bucket/model",
        "runs:/abc/model",
        "mlflow-artifacts:/1/models",
        "models:/digits/3",
        "models:/digits@champion",
        f"models:/{ID}/../x",
        f"models:/{ID}\n",
        f" models:/{ID}",
        f"models:/{ID.upper()}",
        f"models://host/{ID}",
    ],
)
def test_any_other_source_is_refused_in_one_line(source: str) -> None:
    with pytest.raises(InputError, match="must be a model that was logged in the same store") as refused:
        check_source(source)
    assert len(refused.value.issues) == 1


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://host/mlflow"])
def test_a_server_must_serve_the_files_itself(uri: str) -> None:
    check_location(uri, f"mlflow-artifacts:/1/models/{ID}/artifacts")
    for location in (
        "file:///etc",
        "/etc",
        "s3://bucket/1",
        "http://127.0.0.1/1",
        "ftp://host/1",
        "mlflow-artifacts://elsewhere/1",  # MLflow would send the credentials there
        "mlflow-artifacts:/1/../2",
        "mlflow-artifacts:/1/%2e%2e/2",
        "mlflow-artifacts:/1?redirect=http://elsewhere",
    ):
        with pytest.raises(InputError, match="served by the MLflow server"):
            check_location(uri, location)


def test_files_beside_a_sqlite_store_are_read_and_no_others(tmp_path: Path) -> None:
    store = tmp_path / "of store"
    uri = f"sqlite:///{store}/mlflow.db"
    for folder in ("mlartifacts", "mlruns"):
        check_location(uri, (store / folder / "1").as_uri())
        check_location(uri, str(store / folder / "1"))
    (store / "mlartifacts").mkdir(parents=True)
    (store / "mlartifacts" / "link").symlink_to(tmp_path)
    for location in (
        tmp_path.as_uri(),
        store.as_uri(),
        (tmp_path / "mlartifacts").as_uri(),
        f"file://{store}/mlartifacts/../mlflow.db",
        f"file://{store}/mlartifacts/%2e%2e/mlflow.db",
        f"file://host{store}/mlartifacts/1",
        f"{store}/mlartifacts-of-another/1",
        f"{store}/mlartifacts/link/1",
        "mlartifacts/1",  # relative to the folder of whoever reads it
        "mlflow-artifacts:/1",
        "s3://bucket/1",
        "http://127.0.0.1/1",
    ):
        with pytest.raises(InputError, match="in a folder of the store"):
            check_location(uri, location)


def test_another_database_keeps_files_in_a_local_folder() -> None:
    uri = "postgresql://user:secret@127.0.0.1/mlflow"
    check_location(uri, "file:///srv/mlruns/1")
    check_location(uri, "/srv/mlruns/1")
    for location in ("s3://bucket/1", "http://user:secret@127.0.0.1/1", "mlflow-artifacts:/1"):
        with pytest.raises(InputError, match="a local path") as refused:
            check_location(uri, location)
        assert "secret" not in str(refused.value)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[str, Path]:
    """The URI of a store, and a folder of artifacts with two files of 6 bytes together."""
    source = tmp_path / "mlartifacts" / "1"
    (source / "data").mkdir(parents=True)
    (source / "MLmodel").write_text("abc")
    (source / "data" / "model.pt2").write_text("def")
    return f"sqlite:///{tmp_path}/mlflow.db", source


def test_the_files_of_a_model_are_copied(stored: tuple[str, Path], tmp_path: Path) -> None:
    uri, source = stored
    folder = download_files(uri, source.as_uri(), tmp_path / "copy")
    assert {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()} == {
        "MLmodel": "abc",
        "model.pt2": "def",
    }


def test_a_link_stays_a_link(stored: tuple[str, Path], tmp_path: Path) -> None:
    uri, source = stored
    (tmp_path / "secret").write_text("secret")
    (source / "link").symlink_to(tmp_path / "secret")
    assert (download_files(uri, source.as_uri(), tmp_path / "copy") / "link").is_symlink()


def test_nothing_outside_the_store_is_copied(stored: tuple[str, Path], tmp_path: Path) -> None:
    uri, _ = stored
    (tmp_path / "private").mkdir()
    with pytest.raises(InputError, match="must be in a folder of the store"):
        download_files(uri, (tmp_path / "private").as_uri(), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_missing_files_are_reported(stored: tuple[str, Path], tmp_path: Path) -> None:
    uri, source = stored
    with pytest.raises(InputError, match="are missing"):
        download_files(uri, f"{source}-gone", tmp_path / "copy")


def test_too_many_files_and_too_large_ones_are_not_copied(
    stored: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, source = stored
    monkeypatch.setattr(model_files, "MAX_BYTES", 6)
    monkeypatch.setattr(model_files, "MAX_FILES", 3)
    download_files(uri, source.as_uri(), tmp_path / "within")
    for name, limit in (("MAX_BYTES", 5), ("MAX_FILES", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(model_files, name, limit)
            with pytest.raises(InputError, match="it is not downloaded"):
                download_files(uri, source.as_uri(), tmp_path / "beyond")
    assert not (tmp_path / "beyond").exists()


@pytest.mark.slow
def test_a_server_s_files_are_downloaded_within_the_limits(
    server: Any, stored: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(server.uri)
    logged = client.create_logged_model(client.create_experiment("limits of files"), name="autoencoder")
    client.log_model_artifacts(logged.model_id, str(stored[1]))
    location = logged.artifact_location
    monkeypatch.setattr(model_files, "MAX_BYTES", 6)
    monkeypatch.setattr(model_files, "MAX_FILES", 3)  # and a folder
    folder = download_files(server.uri, location, tmp_path / "copy")
    assert (folder / "data" / "model.pt2").read_text() == "def"
    for name, limit in (("MAX_BYTES", 5), ("MAX_FILES", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(model_files, name, limit)
            with pytest.raises(InputError, match="it is not downloaded"):
                download_files(server.uri, location, tmp_path / "beyond")
    assert not (tmp_path / "beyond").exists()


def test_folders_in_folders_are_not_followed_without_end(stored: tuple[str, Path], tmp_path: Path) -> None:
    uri, source = stored
    (source / "/".join("a" * 900)).mkdir(parents=True)  # more than Python's stack has room for
    with pytest.raises(InputError, match="on 20 levels"):
        download_files(uri, source.as_uri(), tmp_path / "copy")


def test_a_server_that_lists_folders_without_end_is_refused_in_one_line() -> None:
    endless = SimpleNamespace(list_artifacts=lambda path: [FileInfo(f"{path}/a".strip("/"), True, None)])
    with pytest.raises(InputError, match="it is not downloaded"):
        list(model_files._served_files(endless))


@pytest.mark.parametrize("files", [b"3", b'[{"path": {"a": 1}, "is_dir": false}]', b'[{"path": "a"}]', b"[1]"])
def test_a_list_of_files_that_is_none_is_refused(files: bytes, tmp_path: Path) -> None:
    with (
        raw_server(answer_with(b'{"files": ' + files + b"}")) as server,
        pytest.raises(InputError, match="must list the files of a model, and its list has another form"),
    ):
        download_files(server.url, f"mlflow-artifacts:/1/models/{ID}/artifacts", tmp_path / "model")


def test_a_file_that_is_larger_than_its_listed_size_ends_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(path: str, target: str) -> None:
        Path(target).write_bytes(bytes(600))
        downloaded.append(path)

    downloaded: list[str] = []
    lying = SimpleNamespace(
        list_artifacts=lambda _: [FileInfo(name, False, 3) for name in "abcd"], _download_file=download
    )
    monkeypatch.setattr(artifact_repository_registry, "get_artifact_repository", lambda *_, **__: lying)
    monkeypatch.setattr(model_files, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="1,000 bytes, and has more"):
        download_files("http://127.0.0.1:5000", f"mlflow-artifacts:/1/models/{ID}/artifacts", tmp_path / "model")
    assert downloaded == ["a", "b"]


@pytest.mark.parametrize("path", ["/etc/cron.d/job", "../job", "data/../../job"])
def test_a_file_that_a_server_lists_elsewhere_is_not_downloaded(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = SimpleNamespace(list_artifacts=lambda _: [FileInfo(path, False, 3)])
    monkeypatch.setattr(artifact_repository_registry, "get_artifact_repository", lambda *_, **__: lying)
    with pytest.raises(InputError, match="must lie in its folder"):
        download_files("http://127.0.0.1:5000", f"mlflow-artifacts:/1/models/{ID}/artifacts", tmp_path / "model")
