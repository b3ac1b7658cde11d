"""The measurements as a Markdown table."""

from collections.abc import Callable
from statistics import median
from typing import Any

N_VALUES = 80  # a trial's metric, once an epoch: 8 trials of 10 epochs

Figures = dict[str, Any]
ROWS: list[tuple[str, str, Callable[[Figures], str]]] = [
    ("killed", "**driver killed** halfway, restarted after 15 s: trials lost", lambda got: _lost(got)),
    ("killed", "epochs trained twice", lambda got: str(got["epochs"] - N_VALUES)),
    ("killed", "MLflow runs of the 8 trials", lambda got: str(got["mlflow"]["runs"])),
    ("killed", "runs left RUNNING; FINISHED with only some values", lambda got: _left_over(got)),
    ("killed", "values of a metric twice; missing, of 80", lambda got: _values(got)),
    ("away", "**MLflow away**, for seconds", lambda got: f"{got['away']:.0f}"),
    ("away", "trials lost", lambda got: _lost(got)),
    ("away", "longest pause in training, seconds", lambda got: f"{got['longest_pause']:.0f}"),
    ("away", "values of a metric twice; missing, of 80", lambda got: _values(got)),
    ("gone", "**MLflow stopped for good** halfway: seconds until the command ended", lambda got: _ended(got)),
    ("gone", "epochs trained, of 80", lambda got: str(got["epochs"])),
    ("gone", "values of a metric missing when MLflow is back, of 80", lambda got: str(got["mlflow"]["values_missing"])),
]


def report(results: Figures) -> str:
    """One row per quantity, one column per contestant; what was not measured is left out."""
    names = list(results["lines"])
    lines = [f"| | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    lines.append(_row("lines to write", [str(results["lines"][name]) for name in names]))
    if "undisturbed" in results:
        calm = results["undisturbed"]
        seconds = [[run["seconds"] for run in calm.get(name, [])] for name in names]
        lines.append(
            _row("undisturbed: seconds of the whole command", [f"{median(of):.0f}" if of else "" for of in seconds])
        )
    for case, what, figure in ROWS:
        if case in results:
            measured = results[case]
            lines.append(_row(what, [figure(measured[name]) if name in measured else "" for name in names]))
    return "\n".join(lines) + "\n"


def _row(what: str, cells: list[str]) -> str:
    return f"| {what} | {' | '.join(cells)} |"


def _lost(got: Figures) -> str:
    return str(8 - got["mlflow"]["trials_finished"])


def _left_over(got: Figures) -> str:
    return f"{got['mlflow']['states'].get('RUNNING', 0)}; {got['mlflow']['finished_but_incomplete']}"


def _values(got: Figures) -> str:
    return f"{got['mlflow']['values_twice']}; {got['mlflow']['values_missing']}"


def _ended(got: Figures) -> str:
    return "not within 600 s" if got["status"] is None else f"{got['seconds_after_stop']:.0f}"
