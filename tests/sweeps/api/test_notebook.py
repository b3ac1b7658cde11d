"""A sweep in a notebook: the example notebook runs, its bar is updated in place, and errors are short."""

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any
from xml.dom import minidom

import nbformat
import pytest
from nbclient import NotebookClient

from sweeps.api.notebook_bar import bar_html
from sweeps.api.notebook_trials import curve_svg
from sweeps.config import ObjectiveConfig
from sweeps.tracking.delivery_progress import DeliveryProgress
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


def test_the_notebook_shows_running_trials_leaders_failures_and_delivery() -> None:
    progress = Progress("s", 40, 4, ObjectiveConfig(metric="valid/mse"))
    progress.enter(Stage.TRAINING)
    progress.delivery = lambda: DeliveryProgress(7, 3, 0, "<a> refuses", 1e9)
    for index in range(20):
        progress.point_started(f"{index:04d}", f"<i>{index}", 4)
        for epoch in (1, 2):
            progress.epoch_ended(f"{index:04d}", epoch, {"valid/mse": 1.0 + index - 0.5 * (epoch == 1)})
    for index in range(5):
        progress.point_ended(f"{index:04d}", PointState.FAILED, f"<u>{index}")
    html = bar_html(progress)
    assert html.count("<svg") == 12 + 5
    assert "and 3 more" in html
    assert ">&lt;i&gt;5<" in html
    assert ">6<" in html  # the newest value of trial 5
    assert ">5.5<" in html  # its best
    assert "2 more failed before these" in html
    assert "trial 0004 failed: &lt;u&gt;4" in html
    assert "3 records waiting, nothing lost (&lt;a&gt; refuses)" in html
    assert not any(tag in html for tag in ("<a>", "<i>5", "<u>"))
    assert minidom.parseString(html).documentElement.tagName == "div"  # noqa: S318 (our own HTML)


def test_curves_are_drawn_from_left_to_right_and_low_values_below() -> None:
    assert curve_svg([0.5]) == ""
    points = re.search(r'points="([^"]*)"', curve_svg([3.0, 1.0, 2.0]))
    assert points is not None
    assert points[1] == "0.0,1.0 50.0,15.0 100.0,8.0"


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
