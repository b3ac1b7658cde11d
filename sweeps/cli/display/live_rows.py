"""The rows of the live view: the running trials and the best ones, as many as the terminal has lines for."""

import math

from rich.table import Table
from rich.text import Text

from sweeps.cli.display.sparkline import ASCII, BLOCKS, sparkline
from sweeps.cli.display.trial import number
from sweeps.tracking.journal.records import PointState
from sweeps.tracking.progress import Progress
from sweeps.tracking.trial_progress import TrialProgress

N_LEADERS = 5
# Narrower terminals have no room for the points of the trials, and the narrowest none for their curves.
_WIDE, _NARROW = 72, 40
_CURVE_WIDTH, _SHORT_CURVE_WIDTH = 16, 10
# The names of the columns and the headings of the two parts.
_HEADINGS = 3


def trial_table(progress: Progress, width: int, height: int, *, ascii_only: bool) -> Table | None:
    """Return the running and the best trials in at most `height` lines; None if there are none, or no room.

    A running trial is shown with the newest value of the objective, a leader with the one that ranks it.
    """
    running, leaders = progress.running_trials(), progress.leaders(N_LEADERS)
    n_running, n_leaders = share_lines(len(running), len(leaders), height - _HEADINGS)
    if not n_running and not n_leaders:
        return None
    table = _columns(progress, width)
    characters = ASCII if ascii_only else BLOCKS
    if n_running:
        table.add_row(Text("running", style="dim"))
        for trial in running[:n_running]:
            _add(table, trial, trial.last_value, characters)
        if n_hidden := len(running) - n_running:
            table.add_row(Text(f"and {n_hidden} more", style="dim"))
    if n_leaders:
        table.add_row(Text("best so far", style="dim"))
        for trial in leaders[:n_leaders]:
            _add(table, trial, trial.value, characters)
    return table


def share_lines(n_running: int, n_leaders: int, n_lines: int) -> tuple[int, int]:
    """Return how many running trials and how many leaders fit; what does not fit takes the line "and N more".

    Leaders get a third of the lines, and what running trials leave.
    """
    n_leaders = min(n_leaders, max(n_lines // 3, n_lines - n_running), n_lines)
    n_leaders = max(0, n_leaders)
    left = n_lines - n_leaders
    return (n_running if n_running <= left else max(0, left - 1)), n_leaders


def _columns(progress: Progress, width: int) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("trial", no_wrap=True)
    if width >= _WIDE:
        table.add_column("point", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column(progress.objective.metric, justify="right", no_wrap=True, overflow="ellipsis")
    if width >= _NARROW:
        table.add_column("over epochs", width=_CURVE_WIDTH if width >= _WIDE else _SHORT_CURVE_WIDTH, no_wrap=True)
    return table


def _add(table: Table, trial: TrialProgress, value: float, characters: str) -> None:
    shown = "" if math.isnan(value) else number(value)
    width = table.columns[-1].width or 0
    cells = {"trial": trial.point_id, "point": trial.name, "epoch": f"{trial.epoch}/{trial.n_epochs}"}
    cells["over epochs"] = sparkline(trial.curve, width, characters)
    style = "" if trial.state is PointState.RUNNING else "dim"
    table.add_row(*(Text(cells.get(str(column.header), shown), style=style) for column in table.columns))
