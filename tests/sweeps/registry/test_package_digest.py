"""The digest of a packaged model covers every path and every byte of its files."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import InputError
from sweeps.registry.package_digest import package_digest

NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "with space", "line\nbreak"])
TREES = st.dictionaries(NAMES, st.binary(max_size=8), max_size=4)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_digest_is_that_of_the_sorted_lines_of_content_and_path(tmp_path: Path) -> None:
    folder = written(tmp_path, {"b": b"2", "a/c": b"1"})
    lines = f"{sha256(b'1').hexdigest()} 'a/c'\n{sha256(b'2').hexdigest()} 'b'\n"
    assert package_digest(folder) == sha256(lines.encode()).hexdigest()


@given(one=TREES, other=TREES)
def test_two_folders_have_the_same_digest_only_if_their_files_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    digests = [package_digest(written(tmp_path_factory.mktemp("package"), files)) for files in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_what_mlflow_adds_to_a_download_does_not_count(tmp_path: Path) -> None:
    before = package_digest(written(tmp_path, {"MLmodel": b"flavors: {}"}))
    (tmp_path / "registered_model_meta").write_text("model_name: digits")
    assert package_digest(tmp_path) == before


@pytest.mark.parametrize("target", ["/etc/hostname", "there", "/"])
def test_a_symbolic_link_is_refused(tmp_path: Path, target: str) -> None:
    written(tmp_path, {"there": b"1"})
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match="plain files and folders"):
        package_digest(tmp_path)
