"""constraints.txt pins exactly the packages of a fresh install."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def pinned() -> dict[str, str]:
    lines = (line.strip() for line in CONSTRAINTS.read_text().splitlines())
    pins = (re.split(r"\s*==\s*", line) for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def installed_for(requirement: Requirement, seen: dict[str, str], visited: set[tuple[str, str]]) -> None:
    """Add to `seen` the installed version of `requirement` and of everything it depends on."""
    name = canonicalize_name(requirement.name)
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    seen[name] = found.version.partition("+")[0]
    for extra in ("", *sorted(requirement.extras)):
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        for text in found.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                installed_for(needed, seen, visited)


@pytest.fixture(scope="module")
def installed() -> dict[str, str]:
    seen: dict[str, str] = {}
    installed_for(Requirement("autoencoder-sweeps[dev]"), seen, set())
    del seen["autoencoder-sweeps"]
    return seen


def test_constraints_pin_every_installed_package(installed: dict[str, str]) -> None:
    assert {name: pinned().get(name) for name in installed} == installed


def test_constraints_pin_installed_packages_only(installed: dict[str, str]) -> None:
    assert set(pinned()) - set(installed) == set()


def test_constraints_pin_the_torch_that_is_known_to_work() -> None:
    assert pinned()["torch"] == "2.13.0"
