"""What a worker imports, and what it imports on first use only; each test runs its own process."""

import subprocess
import sys

from sweeps.trial.lightning_import import CompilerOnDemand

TRAIN = """
import sys, tempfile
from pathlib import Path
from sweeps.config import SweepConfig
from sweeps.trial.context import TrialContext
from sweeps.trial.pack import train_points
from sweeps.trial.dataset import load_dataset
from sweeps.storage.layout import SweepFolder
from sweeps.datamodules.arrays import DataArrays

sweep = SweepConfig.from_dict({
    "name": "lean", "data": {"name": "digits"}, "model": {"name": "shallow", "hidden_size": 4},
    "training": {"epochs": 1}, "objective": {"metric": "valid/mse"}, "execution": "packed",
})
dataset = load_dataset(sweep)
events = []
with tempfile.TemporaryDirectory() as folder:
    context = TrialContext(sweep, DataArrays.from_dict(dataset.arrays), dataset.references, SweepFolder(Path(folder)))
    train_points({"0000": {}, "0001": {}}, context, lambda epoch, objectives, reported: events.extend(reported))
assert sum(event.event == "end" and not event.failed for event in events) == 2, events
"""


def python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_trials_import_neither_mlflow_nor_matplotlib_nor_a_compiler() -> None:
    unwanted = ["mlflow", "matplotlib", "sweeps.analysis", "scipy.signal", "torch._dynamo.eval_frame", "sympy"]
    assert python(TRAIN + f"print([name for name in {unwanted} if name in sys.modules])") == "[]\n"


def test_skipped_packages_are_imported_on_first_use() -> None:
    code = """
import sweeps.trial.lightning_import
import torch._dynamo.config, matplotlib.pyplot, scipy.signal
import torch
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item(), type(torch._dynamo).__name__)
"""
    assert python(code) == "2.0 module\n"


def test_the_compiler_stand_in_returns_functions_unchanged() -> None:
    assert CompilerOnDemand.disable(test_the_compiler_stand_in_returns_functions_unchanged, True, wrapping=False) is (
        test_the_compiler_stand_in_returns_functions_unchanged
    )
