"""The trials of a running sweep as HTML: the running and the leading ones, each with the curve of its objective."""

import math
from collections.abc import Sequence
from html import escape

from sweeps.tracking.progress import Progress
from sweeps.tracking.trial_progress import TrialProgress

N_LEADERS = 5
MAX_RUNNING = 12
_WIDTH, _HEIGHT = 100, 16
# As in the terminal: values that span more than this factor are drawn on a logarithmic scale.
_LOGARITHMIC_SPAN = 10.0
_CELL = 'style="text-align:left;padding:0 8px 0 0"'


def trials_html(progress: Progress) -> str:
    """Return a table of running trials, with their newest value, and of the leaders, with the best; "" without any."""
    running, leaders = progress.running_trials(), progress.leaders(N_LEADERS)
    rows = [_heading("running")] if running else []
    rows += [_row(trial, trial.last_value) for trial in running[:MAX_RUNNING]]
    rows += [_heading(f"and {len(running) - MAX_RUNNING} more")] if len(running) > MAX_RUNNING else []
    rows += [_heading("best so far")] if leaders else []
    rows += [_row(trial, trial.value) for trial in leaders]
    if not rows:
        return ""
    names = ("trial", "point", "epoch", progress.objective.metric, "over epochs")
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def curve_svg(values: Sequence[float]) -> str:
    """Return a curve of finite values as an SVG image; "" for fewer than two."""
    if len(values) < 2:
        return ""
    if min(values) > 0 and max(values) > _LOGARITHMIC_SPAN * min(values):
        values = [math.log(value) for value in values]
    low, span = min(values), max(values) - min(values)
    step = _WIDTH / (len(values) - 1)
    heights = [(value - low) / span if span else 0.5 for value in values]
    points = " ".join(f"{index * step:.1f},{1 + (_HEIGHT - 2) * (1 - y):.1f}" for index, y in enumerate(heights))
    line = f'<polyline points="{points}" fill="none" stroke="currentColor"/>'
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="over epochs">{line}</svg>'


def _heading(text: str) -> str:
    return f'<tr><td {_CELL} colspan="5"><i>{escape(text)}</i></td></tr>'


def _row(trial: TrialProgress, value: float) -> str:
    shown = "" if math.isnan(value) else f"{value:.4g}"
    cells = [escape(trial.point_id), escape(trial.name), f"{trial.epoch}/{trial.n_epochs}", shown]
    return f"<tr>{''.join(f'<td {_CELL}>{cell}</td>' for cell in (*cells, curve_svg(trial.curve)))}</tr>"
