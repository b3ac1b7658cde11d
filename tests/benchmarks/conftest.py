"""Fixtures of every benchmark: quick or full size, and a file of results with a description of the machine."""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

RESULTS = Path(__file__).with_name("results")


@pytest.fixture(scope="session")
def is_quick() -> bool:
    """Whether SWEEPS_BENCHMARK=quick asks for a short run: few trials, whose ratios are not meaningful."""
    return os.environ.get("SWEEPS_BENCHMARK") == "quick"


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, is_quick: bool) -> Iterator[dict[str, Any]]:
    """Measurements, written at the end; a quick run writes them only if SWEEPS_BENCHMARKS names a folder."""
    measured: dict[str, Any] = {"machine": machine(), "figures": {}}
    yield measured["figures"]
    measured["machine"]["load_at_the_end"] = os.getloadavg()[0]
    folder = results_folder(is_quick)
    if folder and measured["figures"]:
        name = Path(request.module.__file__).stem.removeprefix("test_")
        device = "gpu" if torch.cuda.is_available() else "cpu"
        (folder / f"{name}-{device}.json").write_text(json.dumps(measured, indent=2) + "\n")


def results_folder(is_quick: bool) -> Path | None:
    """Where measurements are written: the folder that SWEEPS_BENCHMARKS names, or `results`; None: a quick run."""
    named = os.environ.get("SWEEPS_BENCHMARKS")
    folder = Path(named) if named else None if is_quick else RESULTS
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def folder_of_results(is_quick: bool) -> Path | None:
    return results_folder(is_quick)


def machine() -> dict[str, Any]:
    """The hardware and software that the measurements depend on."""
    description: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_at_the_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": _commit(),
    }
    if torch.cuda.is_available():
        description["gpu"] = torch.cuda.get_device_name()
    return description


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], check=False, capture_output=True, text=True)
    return described.stdout.strip()


@pytest.fixture(scope="session")
def table() -> Iterator[Callable[[str, str, str], None]]:
    """Add a row: the quantity, its measured value, and its upper limit. The table is printed after all benchmarks."""
    rows: list[tuple[str, str, str]] = []
    yield lambda what, measured, target: rows.append((what, measured, target))
    print("\n\n| what | measured | at most |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")
