"""A sweep in a notebook: the example notebook runs, its bar is updated in place, and errors are short."""

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from sweeps.api.notebook_bar import bar_html
from sweeps.config import ObjectiveConfig
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress, Stage

NOTEBOOK = Path(__file__).parents[3] / "docs" / "python-api.ipynb"
SECONDS = 240


class Recording(NotebookClient):
    """Runs a notebook, and keeps the updates of what is shown already."""

    updates: list[str]

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "update_display_data":
            self.updates.append(msg["content"]["data"]["text/html"])
        return super().process_message(msg, cell, cell_index)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_example_notebook_runs_and_shows_frames_figures_and_a_bar(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, nbformat.current_nbformat)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "commit it without outputs"
    refused = "sweeps.load('quickstart', {'budget.trils': 2})"
    cell = nbformat.v4.new_code_cell(refused, metadata={"tags": ["raises-exception"]})
    notebook.cells.append(cell)
    client = Recording(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.updates = []
    client.execute(env=dict(os.environ) | {"PYTHONPATH": str(NOTEBOOK.parents[1])})
    outputs = {
        cell.source.partition("\n")[0]: [dict(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    bar, result = outputs["result = sweeps.run(config)"]
    assert "8 of 8 trials finished, 0 failed" in bar["data"]["text/html"]
    assert "64 of 64 epochs" in bar["data"]["text/html"]
    assert len(client.updates) > 3
    assert 'src="data:image/png;base64,' in result["data"]["text/html"]
    assert "<table" in result["data"]["text/html"]
    (frame,) = outputs["trials = result.trials()"]
    assert frame["data"]["text/html"].count("<tr") == 2 + 8  # the names of columns and of the index, and the trials
    (figure,) = (output for output in chain(*outputs.values()) if "image/png" in output.get("data", {}))
    assert len(figure["data"]["image/png"]) > 5000
    (evaluation,) = outputs["sweeps.evaluate(result)"]
    assert "test/mse" in evaluation["data"]["text/plain"]
    (error,) = outputs[refused]
    assert error["traceback"] == ["ConfigError: budget.trils is not a setting. Did you mean budget.trials?"]


def test_bar_escapes_names_and_counts_trials_and_epochs() -> None:
    progress = Progress("<b>-1", 2, 4, ObjectiveConfig(metric="valid/mse"))
    assert "<div>&lt;b&gt;-1: starting</div>" in bar_html(progress)
    progress.enter(Stage.TRAINING)
    progress.point_started("0000", "<i>", 4)
    progress.epoch_ended("0000", 1, {"valid/mse": 0.5})
    html = bar_html(progress)
    assert 'value="1" max="8"' in html
    assert "best valid/mse 0.5 (trial 0000: &lt;i&gt;)" in html
    progress.point_ended("0000", PointState.FAILED, "<u>no memory")
    html = bar_html(progress, has_ended=True)
    assert "0 of 2 trials finished, 1 failed, 0 running" in html
    assert "trial 0000 failed: &lt;u&gt;no memory" in html
    assert "<b>" not in html


IN_A_KERNEL = """
import sys, types, warnings
import IPython, ipykernel.zmqshell

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "tqdm.notebook":  # it warns if it finds no ipywidgets
            print("quiet" if any("IProgress" in getattr(f[1], "pattern", "") for f in warnings.filters) else "loud")

IPython.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}}, kernel=None)
sys.meta_path.insert(0, Watch())
import sweeps
try:
    sweeps.history("m1")
except sweeps.errors.UnknownModel as error:
    print(error)
"""


def test_the_first_import_of_mlflow_asks_for_no_widgets(own_home: Path) -> None:
    (own_home / "mlflow.db").touch()
    done = subprocess.run([sys.executable, "-c", IN_A_KERNEL], capture_output=True, text=True, cwd=own_home, check=True)
    first, refused = done.stdout.splitlines()
    assert first == "quiet"
    assert refused.startswith("no model 'm1' is registered")
    assert "IProgress" not in done.stderr
