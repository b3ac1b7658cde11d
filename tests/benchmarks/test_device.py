"""Packs on a GPU: `pytest -m benchmark -n 0 -s tests/benchmarks/test_device.py` prints ratios, in 10 minutes.

Points are trained as on a worker, but without Ray: one at a time, in packs (a sweep makes them of 64 at
most), and one at a time in several processes that share the GPU, like fractional GPUs. Without a GPU it runs only
with SWEEPS_BENCHMARK=quick, on the CPU.
"""

import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.config import load
from sweeps.datamodules.arrays import DataArrays
from sweeps.search.searchers.random_search import random_point
from sweeps.storage.layout import SweepFolder
from sweeps.trial.context import TrialContext
from sweeps.trial.dataset import load_dataset
from sweeps.trial.pack import train_points

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200), pytest.mark.usefixtures("real_mnist")]

HERE = Path(__file__).parent
Row = Callable[[str, str, str], None]
N_RUNS = 3  # the fastest counts
N_SHARING = 8  # processes that share the GPU
# Without CPU work: no probe and no arrays for figures. Validation happens only at the end.
TRAINING_ONLY = [
    "execution=packed",
    "training.probe_samples=0",
    "figures.detailed=none",
    "data.n_train=8000",
    "data.n_valid=2000",
    "training.epochs=5",
    "training.validate_every=5",
]
FAMILIES = {
    "shallow": ["yardstick"],
    "deep": ["mnist-deep", "stopping={name: none}", "objective.metric=valid/mse"],
    "stacked": ["mnist-sda", "model.pretraining.epochs=1"],
}
SAME_LAYERS = {
    "shallow": {},
    "deep": {"model.hidden_sizes": [512, 128]},
    "stacked": {"model.hidden_sizes": [500, 500]},
}


class FamilyBenchmark:
    """One model family on one device, with its data."""

    def __init__(self, family: str, folder: Path, *, is_quick: bool) -> None:
        recipe, *settings = FAMILIES[family]
        settings += ["training.epochs=1", "training.validate_every=1", "data.n_train=1000"] if is_quick else []
        self.config = load(recipe, [*TRAINING_ONLY, *settings])
        self.family, self.folder, self.n_run = family, folder, 0
        self.on_gpu = torch.cuda.is_available()
        self.dataset = load_dataset(self.config)

    def points(self, n_members: int) -> list[dict[str, Any]]:
        """Points of one shape up to the hidden size, each with its own penalties, noise and learning rate."""
        drawn = (random_point(self.config.search, 0, index) for index in range(n_members))
        return [{**point, **SAME_LAYERS[self.family]} for point in drawn]

    def run(self, n_members: int) -> float:
        """The seconds to train a pack, from a worker's inputs to its last report."""
        self.n_run += 1
        folder = SweepFolder(self.folder / f"run-{self.n_run}")
        context = TrialContext(
            self.config,
            DataArrays.from_dict(self.dataset.arrays),
            self.dataset.references,
            folder,
            accelerator="gpu" if self.on_gpu else "cpu",
        )
        failed: list[Any] = []

        def report(_: object, __: object, events: Sequence[Any]) -> None:
            failed.extend(event for event in events if getattr(event, "failed", False))

        points = {f"{index:04}": point for index, point in enumerate(self.points(n_members))}
        self._wait()
        start = time.perf_counter()
        train_points(points, context, report)
        self._wait()
        seconds = time.perf_counter() - start
        assert not failed, failed
        return seconds

    def n_flops(self, n_members: int) -> float:
        """The FLOPs of the matrix products, forward and backward; for shallow networks only."""
        n_samples = self.dataset.arrays["train_inputs"].shape[0] * self.config.training.epochs
        sizes = [point["model.hidden_size"] for point in self.points(n_members)]
        return sum(3 * 2 * 2 * 784 * size * n_samples for size in sizes)

    def _wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()


def ceiling() -> float:
    """The FLOP/s of a large matrix product in the training precision."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 1024
    left, right = (torch.rand(size, size, device=device) for _ in range(2))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        (left @ right)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


@pytest.fixture(scope="module", autouse=True)
def _require_device(is_quick: bool) -> None:
    if not torch.cuda.is_available() and not is_quick:
        pytest.skip("needs a GPU")


@pytest.mark.parametrize("family", FAMILIES)
def test_packs(family: str, results: dict[str, Any], table: Row, tmp_path: Path, is_quick: bool) -> None:
    """Throughput of packs ÷ one at a time; memory; fraction of the FLOP/s ceiling."""
    bench = FamilyBenchmark(family, tmp_path, is_quick=is_quick)
    bench.run(1)  # one-time initialization of torch
    alone = min(bench.run(1) for _ in range(N_RUNS))
    results[family] = {"alone_seconds": alone, "packs": {}}
    for n_members in (1, 2) if is_quick else (1, 8, 64, 256):
        if bench.on_gpu:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        seconds = min(bench.run(n_members) for _ in range(N_RUNS))
        gain = alone * n_members / seconds
        found: dict[str, float] = {"seconds": seconds, "throughput_over_alone": gain}
        if bench.on_gpu:
            found["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
        if family == "shallow":
            found["share_of_ceiling"] = bench.n_flops(n_members) / seconds / ceiling()
        results[family]["packs"][str(n_members)] = found
        target = "(at least 30)" if n_members == 64 else ""
        table(f"{family}: throughput of a pack of {n_members} ÷ one at a time", f"{gain:.1f}", target)


def test_fractions(results: dict[str, Any], table: Row, tmp_path: Path, is_quick: bool) -> None:
    """Throughput of several processes that share the device ÷ that of one process."""
    n_processes, n_each = (2, 1) if is_quick else (N_SHARING, 4)
    alone = worker_seconds(tmp_path / "alone", 1, n_each, is_quick=is_quick)
    shared = worker_seconds(tmp_path / "shared", n_processes, n_each, is_quick=is_quick)
    gain = n_processes * alone / shared
    results["fractions"] = {"n_processes": n_processes, "throughput_over_alone": gain}
    table(f"shallow: throughput of {n_processes} processes on one device ÷ one at a time", f"{gain:.1f}", "")


def worker_seconds(folder: Path, n_processes: int, n_each: int, *, is_quick: bool) -> float:
    """The seconds that `n_processes` need to train `n_each` points each, one at a time, after all have warmed up."""
    folder.mkdir()
    command = [sys.executable, __file__, str(folder), str(n_processes), str(n_each), *(["quick"] if is_quick else [])]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(n_processes)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    spans: list[Mapping[str, float]] = [json.loads(text.splitlines()[-1]) for text in printed]
    return max(span["ended"] for span in spans) - min(span["started"] for span in spans)


def work(folder: Path, n_processes: int, n_each: int, number: str, *, is_quick: bool) -> None:
    """Run one of the processes: train once all are ready, and print when it started and ended."""
    bench = FamilyBenchmark("shallow", folder / number, is_quick=is_quick)
    bench.run(1)
    (folder / f"{number}.ready").touch()
    while len(list(folder.glob("*.ready"))) < n_processes:
        time.sleep(0.01)
    start = time.time()
    for _ in range(n_each):
        bench.run(1)
    print(json.dumps({"started": start, "ended": time.time()}))


if __name__ == "__main__":
    where, n_processes, n_each, *quick, number = sys.argv[1:]
    work(Path(where), int(n_processes), int(n_each), number, is_quick=bool(quick))
