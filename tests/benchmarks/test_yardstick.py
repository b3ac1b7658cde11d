"""The yardstick against its floor and its peer: `pytest -m benchmark -n 0 -s tests/benchmarks`.

SWEEPS_BENCHMARK=quick runs few trials. Everything runs in one go on one machine; only the ratios are meaningful.
"""

import json
import os
import runpy
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch

from sweeps.config import load
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.build import build_phases
from sweeps.models.training.autoencoder import Autoencoder
from sweeps.search.searchers.random_search import random_point
from sweeps.trial.dataset import load_dataset

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200), pytest.mark.usefixtures("real_mnist")]

HERE = Path(__file__).parent
N_WORKERS = 2  # of every contestant
Results = dict[str, Any]
Row = Callable[[str, str, str], None]


def command(home: Path, *arguments: str) -> tuple[dict[str, Any], float]:
    """The last JSON that a command prints, and its seconds, from a cold start: no caches and no store."""
    home.mkdir(parents=True)
    own = os.environ | {"SWEEPS_HOME": str(home), "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db"}
    start = time.perf_counter()
    run = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, env=own)
    assert run.returncode == 0, run.stderr[-3000:]
    printed: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return printed, time.perf_counter() - start


def sweep(home: Path, n_trials: int, *settings: str) -> tuple[dict[str, Any], float]:
    """The final output of the recipe's sweep, with tracking, and the seconds of the whole command."""
    overrides = [f"--set={setting}" for setting in (f"budget.trials={n_trials}", *settings)]
    return command(home, "-m", "sweeps", "run", "yardstick", "--json", *overrides)


def start_and_end_times(journal: Path) -> list[tuple[float, float]]:
    """When each trial was ready for its first step and when it ended, in seconds since 1970, in order."""
    query = """
        SELECT min(CASE kind WHEN 'figure' THEN time_ms END), max(CASE kind WHEN 'point_end' THEN time_ms END)
        FROM entries WHERE point_id IS NOT NULL GROUP BY point_id ORDER BY 1
    """
    with sqlite3.connect(journal) as connection:
        return [(first / 1000, last / 1000) for first, last in connection.execute(query)]


def seconds_per_extra_trial(seconds: dict[int, float]) -> float:
    """The seconds that each further trial takes."""
    few, many = sorted(seconds)
    return (seconds[many] - seconds[few]) / (many - few)


@pytest.fixture(scope="module")
def numbers(is_quick: bool) -> Sequence[int]:
    """The numbers of trials at which sweeps are compared."""
    return (4, 12) if is_quick else (16, 64)


@pytest.fixture(scope="module")
def points_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A file of the first points of the yardstick, next to the training images."""
    folder = tmp_path_factory.mktemp("points")
    config = load("yardstick", [])
    arrays = load_dataset(config).arrays
    np.save(folder / "images.npy", np.concatenate([arrays["train_inputs"], arrays["valid_inputs"]]))

    def write(n_points: int) -> Path:
        path = folder / f"{n_points}.json"
        points = [random_point(config.search, config.algorithm.seed, index) for index in range(n_points)]
        path.write_text(json.dumps(points))
        return path

    return write


def test_one_fit_against_a_bare_loop(
    results: Results, table: Row, points_of: Callable[[int], Path], is_quick: bool
) -> None:
    """Alternate Lightning's fit and the bare loop in this process; CPU seconds, robust to other load."""
    import pytorch_lightning as lightning

    torch.set_num_threads(1)
    bare = runpy.run_path(str(HERE / "floor.py"))
    config = load("yardstick", [])
    arrays = DataArrays.from_dict(load_dataset(config).arrays)
    path = points_of(12)
    inputs, valid = bare["images"](path.parent)
    elapsed: dict[str, list[float]] = {"fit": [], "loop": []}

    def fit(point: dict[str, Any]) -> None:
        trial = config.trial_at(point)
        (phase,) = build_phases(trial.model, trial.training, input_size=784, n_classes=10)
        data = ArrayDataModule(arrays, batch_size=phase.batch_size, seed=0)
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=phase.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Autoencoder([phase.member]), datamodule=data)

    for point in json.loads(path.read_text())[: 4 if is_quick else 12]:
        for name, train in {"fit": fit, "loop": partial(bare["train"], inputs=inputs, valid=valid)}.items():
            start = time.process_time()
            train(point)
            elapsed[name].append(time.process_time() - start)
    ratio = sum(elapsed["fit"][1:]) / sum(elapsed["loop"][1:])  # the first is the start-up
    results["one fit"] = {"cpu_seconds": elapsed, "ratio": round(ratio, 3)}
    table("one Lightning fit ÷ the bare loop, CPU seconds", f"{ratio:.2f}", "1.15")


def test_sweeps(
    results: Results, table: Row, points_of: Callable[[int], Path], numbers: Sequence[int], tmp_path: Path
) -> None:
    """Sweeps on two cores: the floor, ours one by one and in packs, and the peers, with few and many trials."""
    elapsed: dict[str, dict[int, float]] = defaultdict(dict)
    for n_trials in numbers:
        path, home = points_of(n_trials), tmp_path / str(n_trials)
        elapsed["floor"][n_trials] = command(home / "floor", str(HERE / "floor.py"), str(path))[0]["seconds"]
        for name, execution in {"single": "single", "packed": "auto"}.items():
            settings = (f"execution={execution}", f"resources.concurrency={N_WORKERS}")
            elapsed[name][n_trials] = sweep(home / name, n_trials, *settings)[1]
        for peer, options in {"peer": [], "plain peer": ["plain"]}.items():
            script = [str(HERE / "peer.py"), str(path), f"sqlite:///{home / peer}/mlflow.db", *options]
            printed, elapsed[peer][n_trials] = command(home / peer, *script)
            elapsed[f"{peer}, Tuner.fit"][n_trials] = printed["seconds"]
    more = {name: seconds_per_extra_trial(seconds) for name, seconds in elapsed.items()}
    results["sweeps"] = {"seconds": elapsed, "seconds_of_one_more": more}
    few = min(numbers)
    for name, target in {"single": "1.6", "packed": "1.2"}.items():
        table(f"one more trial, {name} ÷ the floor's", f"{more[name] / more['floor']:.2f}", target)
    for peer in ("peer", "plain peer"):
        for name, target in {"single": "8", "packed": "10"}.items():
            gain = more[peer] / more[name]
            table(f"one more trial of the {peer} ÷ ours, {name}", f"{gain:.1f}", f"(at least {target})")
        for name in ("single", "packed"):
            ratio = elapsed[name][few] / elapsed[peer][few]
            table(f"{few} trials, {name}, whole command ÷ the {peer}'s", f"{ratio:.2f}", "0.25")


def test_startup(results: Results, table: Row, is_quick: bool, tmp_path: Path) -> None:
    """Time by stage, from the start of the command to the first report of a worker that is ready to train."""
    runs = [command(tmp_path / str(run), str(HERE / "startup.py"))[0] for run in range(1 if is_quick else 5)]
    seconds = {stage: median(run[stage] for run in runs) for stage in runs[0]}
    whole = median(sum(run.values()) for run in runs)
    results["startup"] = {"seconds": seconds, "whole": whole}
    for stage, elapsed in seconds.items():
        table(f"start: {stage}", f"{elapsed:.1f} s", "")
    table("from the start of the command to the first training step", f"{whole:.1f} s", "8 s")


def test_time_between_trials(results: Results, table: Row, is_quick: bool, tmp_path: Path) -> None:
    """Time on one warm worker from a trial's last report to the next trial's first step."""
    settings = ("execution=single", "resources.concurrency=1", "training.epochs=1")
    printed, _ = sweep(tmp_path / "home", 4 if is_quick else 16, *settings)
    times = start_and_end_times(tmp_path / "home" / "sweeps" / printed["sweep"] / "journal.db")
    gaps = [start - ended for (_, ended), (start, _) in pairwise(times)]
    results["between trials"] = {"seconds": gaps, "median": median(gaps)}
    table("from one trial's end to the next one's first step, warm worker", f"{median(gaps) * 1000:.0f} ms", "100 ms")
