"""What a person sees of one trial: its diagnosis, its metrics on the test split."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.console import open_console
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.mlflow.run_metadata import diagnosis_text
from sweeps.tracking.results import SweepResult
from sweeps.tracking.trial_lookup import TrialResult
from sweeps.tracking.trial_names import label_of

if TYPE_CHECKING:
    from sweeps.evaluation import Evaluation  # which loads torch


def print_diagnosis(trial: TrialResult) -> None:
    """Print a trial's findings, each with its evidence and its advice."""
    console = open_console(highlight=False, markup=False, soft_wrap=True)
    label = label_of(trial.run_name, trial.trial, trial.point)
    console.print(f"{trial.sweep}/{trial.trial} ({label}) {trial.state}", style="bold")
    if trial.reason is not None:
        console.print(f"{trial.reason}")
    if trial.diagnosis is not None:
        console.print(f"\n{diagnosis_text(trial.diagnosis)}", end="")
    elif trial.state is PointState.RUNNING:
        console.print("The trial is running: it is diagnosed when it ends.")
    else:
        console.print("The trial ended before it could be diagnosed.")


def print_evaluation(evaluation: "Evaluation", result: SweepResult) -> None:
    """Print a trial's metrics on the test split beside those on the validation split."""
    console = open_console()
    samples = f"epoch {evaluation.epoch}, {evaluation.n_samples} test samples"
    console.print(
        Text(f"{evaluation.sweep}/{evaluation.trial}", style="bold") + Text(f" {samples}"),
        highlight=False,
        soft_wrap=True,
    )
    valid = next(ranked.metrics for ranked in result.ranking if ranked.trial == evaluation.trial)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "test", "valid"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, value in evaluation.metrics.items():
        metric = name.removeprefix("test/")
        table.add_row(metric, number(value), number(valid.get(f"valid/{metric}")))
    console.print(table)


def number(value: float | None) -> str:
    """Return a metric's value to four digits; nothing if there is none."""
    return "" if value is None else f"{value:.4g}"
