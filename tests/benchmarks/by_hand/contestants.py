"""The contestants: how each starts and resumes, what a person writes for it, and how it is run and killed."""

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
N_TRIALS, N_EPOCHS = 8, 10


@dataclass(frozen=True)
class Contestant:
    """One way to write the sweep. Commands contain FOLDER and EXPERIMENT, which differ from run to run."""

    name: str
    files: Sequence[str]  # what a person writes
    metric: str  # logged once an epoch
    start: Sequence[str]
    resume: Sequence[str]


OURS = Contestant(
    "this project",
    ["digits.yaml"],
    "train/loss",
    ["-m", "sweeps", "run", str(HERE / "digits.yaml"), "--json", "--set", "name=EXPERIMENT"],
    ["-m", "sweeps", "resume", "EXPERIMENT", "--json"],
)
RAY = Contestant(
    "Ray Tune", ["ray_tune.py", "network.py"], "train_loss", *[[str(HERE / "ray_tune.py"), "FOLDER", "EXPERIMENT"]] * 2
)
OPTUNA = Contestant(
    "Optuna",
    ["optuna_study.py", "network.py"],
    "train_loss",
    *[[str(HERE / "optuna_study.py"), "FOLDER", "EXPERIMENT"]] * 2,
)
CONTESTANTS = [OURS, RAY, OPTUNA]


class SweepProcess:
    """One run of a contestant in a folder: its process, its output, and the epochs that it has trained so far."""

    def __init__(self, contestant: Contestant, folder: Path, experiment: str, tracking_uri: str) -> None:
        self.contestant, self.folder, self.experiment = contestant, folder, experiment
        self.epochs = folder / "epochs.log"
        self._environment = os.environ | {
            "MLFLOW_TRACKING_URI": tracking_uri,
            "SWEEPS_HOME": str(folder / "home"),
            "EPOCH_LOG": str(self.epochs),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        folder.mkdir(parents=True)

    def start(self, arguments: Sequence[str]) -> None:
        """Start a command of the contestant; output goes to files in the folder."""
        names = {"FOLDER": str(self.folder), "EXPERIMENT": self.experiment}
        filled = [names.get(word, word.replace("EXPERIMENT", self.experiment)) for word in arguments]
        with (self.folder / "output.txt").open("w") as output, (self.folder / "errors.txt").open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *filled], cwd=self.folder, stdout=output, stderr=errors, env=self._environment
            )

    def wait(self, seconds: float) -> int | None:
        """Wait for the command's end and return its exit status; None: it did not end in time and is killed."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def printed(self) -> dict[str, Any]:
        """The last command's result; empty: it printed none."""
        lines = (self.folder / "output.txt").read_text().splitlines()
        results: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
        return results[-1] if results else {}

    def errors(self) -> str:
        """The end of what the commands have printed to standard error."""
        return (self.folder / "errors.txt").read_text()[-3000:]

    def wait_for_epochs(self, n_epochs: int, seconds: float = 600) -> None:
        """Wait until all trials together have trained `n_epochs`."""
        deadline = time.monotonic() + seconds
        while self.n_epochs() < n_epochs:
            assert self.process.poll() is None, self.errors()
            assert time.monotonic() < deadline, self.errors()
            time.sleep(0.05)

    def n_epochs(self) -> int:
        """The epochs that all trials have trained, those of killed processes included."""
        return sum(n_networks for _, n_networks in self.epoch_ends())

    def longest_pause(self) -> float:
        """The most seconds without an epoch's end, from the first one on."""
        times = [moment for moment, _ in self.epoch_ends()]
        return max((later - before for before, later in pairwise(times)), default=0.0)

    def epoch_ends(self) -> list[tuple[float, int]]:
        """When each epoch ended, and the number of networks that it trained."""
        lines = self.epochs.read_text().splitlines() if self.epochs.exists() else []
        return sorted((float(moment), int(n_networks)) for moment, n_networks in map(str.split, lines))


def n_lines(path: Path) -> int:
    """Lines of code or settings: without blank lines, comments and docstrings."""
    text = path.read_text()
    skipped: set[int] = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for number, line in lines if number not in skipped and line.split("#")[0].strip())
