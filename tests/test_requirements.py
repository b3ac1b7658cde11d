"""requirements/ has every package of constraints.txt with hashes, as .ci/lock writes it."""

import re
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = ("runtime", "cuda", "dev")
UPDATE = "run .ci/lock, where a package registry is reachable"


def locked(file: str) -> dict[str, str]:
    """The versions of a file's packages. Each must have hashes of SHA-256, and nothing else."""
    found: dict[str, str] = {}
    text = (ROOT / "requirements" / f"{file}.txt").read_text()
    for block in re.split(r"\n(?=[\w#])", text.replace(" \\\n", "\n").strip()):
        first, *hashes = block.split("\n")
        if first.startswith("#"):
            continue
        name, version = first.split("==")
        assert canonicalize_name(name) not in found
        assert hashes, name
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line) for line in hashes), name
        found[canonicalize_name(name)] = version
    return found


def pinned() -> dict[str, str]:
    pins = (line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    return {canonicalize_name(name): version for name, version in pins}


def test_hashed_packages_are_those_of_the_constraints() -> None:
    assert locked("runtime") | locked("dev") == pinned(), UPDATE


def test_no_package_is_in_two_files() -> None:
    names = [name for file in FILES for name in locked(file)]
    assert sorted(names) == sorted(set(names))


def test_what_torch_adds_for_a_gpu_is_apart() -> None:
    assert "torch" in locked("runtime")
    assert {name.partition("-")[0] for name in locked("cuda")} == {"cuda", "nvidia", "triton"}


@pytest.mark.parametrize("file", FILES)
def test_no_file_names_a_registry(file: str) -> None:
    assert "://" not in (ROOT / "requirements" / f"{file}.txt").read_text()
