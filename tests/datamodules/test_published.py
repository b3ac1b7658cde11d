import contextlib
import gzip
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from raw_server import OK, PACE_SECONDS, RawServer, raw_server, redirect_to, repeat

from sweeps.datamodules import published
from sweeps.datamodules.arrays import DatasetError
from sweeps.datamodules.fashion_mnist import FASHION_MNIST
from sweeps.datamodules.mnist import MNIST
from sweeps.datamodules.published import PublishedDataset, PublishedFile, load_published


def idx_bytes(shape: tuple[int, ...], seed: int, largest: int = 255) -> bytes:
    """A file in the IDX format, including its header."""
    body = np.random.default_rng(seed).integers(0, largest + 1, shape, dtype=np.uint8)
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body.tobytes()


CONTENTS = {
    "train-images-idx3-ubyte": idx_bytes((12, 4, 3), seed=0),
    "train-labels-idx1-ubyte": idx_bytes((12,), seed=1, largest=9),
    "t10k-images-idx3-ubyte": idx_bytes((5, 4, 3), seed=2),
    "t10k-labels-idx1-ubyte": idx_bytes((5,), seed=3, largest=9),
}
IMAGES = "train-images-idx3-ubyte"


def small_mnist(*mirrors: str) -> PublishedDataset:
    def file(name: str, *shape: int) -> PublishedFile:
        return PublishedFile(name, shape, hashlib.md5(CONTENTS[name], usedforsecurity=False).hexdigest())

    return PublishedDataset(
        "mnist",
        mirrors,
        file(IMAGES, 12, 4, 3),
        file("train-labels-idx1-ubyte", 12),
        file("t10k-images-idx3-ubyte", 5, 4, 3),
        file("t10k-labels-idx1-ubyte", 5),
    )


def publish(folder: Path, *, zipped: bool = True, level: int = 9) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, level))
        else:
            (folder / name).write_bytes(content)
    return folder


class RecordingServer(ThreadingHTTPServer):
    """Serve a folder on the loopback interface and record the requests."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, RecordingServer)
        self.server.asked.append(self.path.lstrip("/"))
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: requests are recorded."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RecordingServer]:
    folder.mkdir(parents=True, exist_ok=True)
    with RecordingServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def closed_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SWEEPS_DATA_DIR", raising=False)
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "home"


def expected_images() -> list[list[int]]:
    return np.frombuffer(CONTENTS[IMAGES], np.uint8, offset=16).reshape(12, 12).tolist()


@pytest.mark.parametrize("zipped", [True, False])
def test_files_are_read_from_the_data_dir_gzipped_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    publish(tmp_path / "data" / "mnist", zipped=zipped)
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path / "data"))
    source = load_published(small_mnist())
    assert source.samples.inputs.tolist() == expected_images()
    assert source.test is not None
    assert len(source.test) == 5
    assert (source.image_shape, source.n_classes, source.scale) == ((4, 3), 10, 1 / 255)


def test_only_the_data_dir_is_read_when_it_is_set(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(home / "data" / "mnist")
    (publish(tmp_path / "own" / "mnist") / f"{IMAGES}.gz").unlink()
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path / "own"))
    with serving(publish(tmp_path / "mirror")) as server, pytest.raises(DatasetError) as refused:
        load_published(small_mnist(server.url))
    assert server.asked == []
    assert f"{tmp_path / 'own' / 'mnist'} alone, which lacks {IMAGES}: put the files there" in str(refused.value)


def test_missing_files_are_downloaded_once_and_cached(tmp_path: Path, home: Path) -> None:
    with serving(publish(tmp_path / "mirror")) as server:
        first = load_published(small_mnist(server.url))
        second = load_published(small_mnist(server.url))
    assert sorted(server.asked) == sorted(f"{name}.gz" for name in CONTENTS)
    assert sorted(path.name for path in (home / "data" / "mnist").iterdir()) == sorted(server.asked)
    assert first.samples.inputs.tolist() == second.samples.inputs.tolist() == expected_images()


def test_cached_files_are_used_without_a_network(home: Path, closed_address: str) -> None:
    publish(home / "data" / "mnist")
    assert load_published(small_mnist(closed_address)).samples.inputs.tolist() == expected_images()


def test_recompressed_files_of_a_mirror_are_accepted(tmp_path: Path) -> None:
    with serving(publish(tmp_path / "mirror", level=1)) as server:
        assert len(load_published(small_mnist(server.url)).samples) == 12


def test_the_next_mirror_is_used_when_one_is_down(tmp_path: Path, closed_address: str) -> None:
    with serving(publish(tmp_path / "mirror")) as server:
        assert len(load_published(small_mnist(closed_address, server.url)).samples) == 12


def test_the_next_mirror_is_used_when_one_sends_wrong_content(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for name in CONTENTS:
        (wrong / f"{name}.gz").write_text("<html>please log in to this network</html>")
    with serving(wrong) as first, serving(publish(tmp_path / "mirror")) as second:
        assert len(load_published(small_mnist(first.url, second.url)).samples) == 12
    assert len(first.asked) == 4


def test_a_wrong_download_is_not_cached(tmp_path: Path, home: Path) -> None:
    mirror = publish(tmp_path / "mirror")
    (mirror / f"{IMAGES}.gz").write_bytes(gzip.compress(CONTENTS[IMAGES][:-1] + b"!"))
    with serving(mirror) as server, pytest.raises(DatasetError, match="not the published file"):
        load_published(small_mnist(server.url))
    assert list((home / "data" / "mnist").iterdir()) == []


def test_the_offline_error_lists_the_missing_files_and_their_folder_in_one_line(
    home: Path, closed_address: str
) -> None:
    with pytest.raises(DatasetError) as refused:
        load_published(small_mnist(closed_address))
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert all(name in message for name in CONTENTS)
    assert str(home / "data" / "mnist") in message
    assert "SWEEPS_DATA_DIR" in message
    assert "ConnectionError" in message


def test_the_error_for_a_file_missing_on_a_mirror_has_the_http_status(tmp_path: Path) -> None:
    with serving(tmp_path / "empty") as server, pytest.raises(DatasetError, match="HTTPError 404"):
        load_published(small_mnist(server.url))


def test_an_unwritable_cache_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "file"))
    with pytest.raises(DatasetError, match=r"neither found in .* nor fetched .*Not a directory"):
        load_published(small_mnist())


def damaged(kind: str) -> bytes:
    content = CONTENTS[IMAGES]
    zipped = gzip.compress(content)
    return {
        "truncated gzip": zipped[:-20],
        "gzip with another checksum": zipped[:-8] + b"\0\0\0\0" + zipped[-4:],
        "truncated": content[:-1],
        "surplus": content + b"\0",
        "empty": b"",
        "header alone": content[:10],
        "labels in place of images": CONTENTS["train-labels-idx1-ubyte"],
        "another shape": struct.pack(">HBB3I", 0, 8, 3, 4_000_000_000, 28, 28) + content[16:],
        "another pixel": content[:-1] + bytes([content[-1] ^ 1]),
        "text": b"not found",
    }[kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("truncated gzip", "cannot be read to its end"),
        ("gzip with another checksum", "cannot be read to its end"),
        ("truncated", "144 bytes must follow its header, got only 143"),
        ("surplus", "144 bytes must follow its header, got more"),
        ("empty", "must begin with the bytes 00 00 08 03, not end"),
        ("header alone", "must hold an array of"),
        ("labels in place of images", "must begin with the bytes 00 00 08 03, not 00 00 08 01"),
        ("another shape", "its header says (4000000000, 28, 28)"),
        ("another pixel", "must have the MD5"),
        ("text", "must begin with the bytes"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: str
) -> None:
    path = publish(tmp_path / "mnist") / f"{IMAGES}.gz"
    path.write_bytes(damaged(kind))
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError) as refused:
        load_published(small_mnist())
    assert str(path) in str(refused.value)
    assert expected in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_gzip_larger_than_its_header_claims_is_not_decompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(CONTENTS[IMAGES] + bytes(50_000_000))
    (publish(tmp_path / "mnist") / f"{IMAGES}.gz").write_bytes(bomb)
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError, match="got more"):
        load_published(small_mnist())


@pytest.mark.parametrize("dataset", [MNIST, FASHION_MNIST])
def test_published_datasets_have_four_distinct_files_and_mirrors(dataset: PublishedDataset) -> None:
    assert len({file.md5 for file in dataset.files}) == 4
    assert [file.name for file in dataset.files] == list(CONTENTS)
    assert all(mirror.endswith("/") for mirror in dataset.mirrors)


def test_fashion_mnist_files_are_refused_as_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "mnist")
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetError, match="fashion_mnist"):
        load_published(replace(small_mnist(), name="fashion_mnist"))


def test_a_mirror_that_sends_without_end_is_skipped(tmp_path: Path) -> None:
    publish(tmp_path / "web")
    with raw_server(repeat(OK + b"\r\n", bytes(2**16))) as endless, serving(tmp_path / "web") as mirror:
        assert load_published(small_mnist(f"{endless.url}/", mirror.url)).image_shape == (4, 3)
        with pytest.raises(DatasetError, match="AnswerTooLarge"):
            load_published(replace(small_mnist(f"{endless.url}/"), name="other"))


def test_a_mirror_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "DOWNLOAD_SECONDS", 0.3)
    with (
        raw_server(repeat(OK + b"\r\n", b"x", PACE_SECONDS)) as dripping,
        pytest.raises(DatasetError, match="ConnectionError"),
    ):
        load_published(small_mnist(f"{dripping.url}/"))


def test_a_mirror_may_redirect(tmp_path: Path) -> None:
    publish(tmp_path / "web")
    with (
        serving(tmp_path / "web") as mirror,
        raw_server(redirect_to(RawServer(mirror.url.removeprefix("http://").rstrip("/")))) as first,
    ):
        assert load_published(small_mnist(f"{first.url}/")).image_shape == (4, 3)
