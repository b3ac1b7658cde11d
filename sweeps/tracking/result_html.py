"""A sweep's result as a notebook shows it: the leading trials as a table, and the best trial's filters."""

import base64
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from sweeps.models.diagnosis.findings import serious_names
from sweeps.storage.object_store import Place
from sweeps.tracking.result_text import counts_line, leading_line, unfinished_line, why_no_best
from sweeps.tracking.short_text import number

if TYPE_CHECKING:
    from sweeps.tracking.sweep_result import RankedTrial, SweepResult

_TOP = 5
_LONGEST = 60
_CELL = 'style="padding:2px 10px 2px 0;text-align:left;vertical-align:top"'


def result_html(result: "SweepResult") -> str:
    """Return HTML with the sweep's state, its leading trials and, if its arrays are saved, the best trial's filters."""
    parts = [
        f"<div><strong>{escape(result.sweep)}</strong> {escape(str(result.record.state))}: "
        f"{escape(counts_line(result))}</div>"
    ]
    if (unfinished := unfinished_line(result)) is not None:
        parts.append(f"<div>{escape(unfinished)}</div>")
    if result.leader is not None:
        parts.append(f"<div>{escape(leading_line(result, result.leader))}</div>")
    if result.best is None and result.leader is None:
        parts.append(f"<div>{escape(why_no_best(result))}</div>")
    if result.best is not None:
        parts.append(_table(result))
        if n_more := len(result.ranking[_TOP:]):
            parts.append(f"<div>and {n_more} more: <code>.trials()</code></div>")
        parts.append(_filters(result, result.best))
    parts.append(f"<div>In MLflow: <code>sweeps ui {escape(result.sweep)}</code></div>")
    return f"<div>{''.join(parts)}</div>"


def _table(result: "SweepResult") -> str:
    names = [*result.objective_metrics, "epoch"]
    paths = list(dict.fromkeys(path for trial in result.ranking[:_TOP] for path in trial.point))
    has_findings = any(serious_names(trial.diagnosis or ()) for trial in result.ranking[:_TOP])
    head = _row(["", "trial", *paths, *names, *(["findings"] if has_findings else [])], "th")
    rows = "".join(_row(cells, "td") for cells in _rows(result, paths, has_findings=has_findings))
    return f'<table style="border-collapse:collapse;margin:6px 0"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _rows(result: "SweepResult", paths: list[str], *, has_findings: bool) -> Iterator[list[str]]:
    for rank, trial in enumerate(result.ranking[:_TOP], start=1):
        mark = "*" if len(result.objective_metrics) > 1 and trial in result.front else str(rank)
        settings = [number(trial.point.get(path, "")) for path in paths]
        metrics = [number(trial.metrics.get(name, "")) for name in result.objective_metrics]
        findings = [", ".join(serious_names(trial.diagnosis or ()))] if has_findings else []
        yield [mark, trial.trial, *settings, *metrics, f"{trial.epoch}/{trial.epochs}", *findings]


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag} {_CELL}>{escape(_shortened(cell))}</{tag}>' for cell in cells)}</tr>"


def _shortened(cell: str) -> str:
    return cell if len(cell) <= _LONGEST else f"{cell[: _LONGEST - 3]}..."


def _filters(result: "SweepResult", best: "RankedTrial") -> str:
    """Return the best trial's filters as an image within the page; nothing if their arrays are missing or damaged."""
    from sweeps.tracking.mlflow.figures import FigureError, draw

    try:
        source = _source(result, best)
        png = None if source is None else draw("filters", source, [], {})
    except (FigureError, OSError):
        png = None
    if png is None:
        return ""
    image = base64.b64encode(png).decode()
    caption = escape(f"filters of trial {best.trial}")
    return (
        f'<figure style="margin:6px 0"><img alt="{caption}" src="data:image/png;base64,{image}" '
        'style="width:320px;image-rendering:pixelated">'
        f'<figcaption style="opacity:0.7">{caption}</figcaption></figure>'
    )


def _source(result: "SweepResult", best: "RankedTrial") -> Place | None:
    """Return the arrays of the best epoch; those of the last snapshot until it if the best epoch's are not saved."""
    folder = result.folder.point(best.trial)
    if folder.best_arrays.exists():
        return folder.best_arrays
    snapshots = (folder.snapshot(epoch) for epoch in range(best.epoch, -1, -1))
    return next((path for path in snapshots if path.exists()), None)
