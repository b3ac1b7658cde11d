"""Learning curves: all metrics of the best trial, and the objective of the other leaders, in few points."""

from collections.abc import Sequence
from typing import Any

from sweeps.analysis.report.source import ReportSource, finite
from sweeps.models.metric_table import TRIAL_METRICS
from sweeps.search.ranking import History

MOST_POINTS = 200
N_LEADERS = 8


def learning_curves(source: ReportSource) -> dict[str, Any]:
    """Return the best trial's curves by metric with its unit, its references, and the other leaders' objective."""
    best = source.result.best or source.result.leader
    if best is None:
        return {}
    objective = source.result.objective_metrics[0]
    history = source.histories[best.trial]
    names = dict.fromkeys([*source.result.objective_metrics, *(name for _, metrics in history for name in metrics)])
    shown = [name for name in names if name in TRIAL_METRICS or name in source.result.objective_metrics]
    leaders = [trial for trial in source.result.ranking[: N_LEADERS + 1] if trial.trial != best.trial]
    return {
        "trial": best.trial,
        "epoch": best.epoch,
        "curves": [
            {"name": name, "unit": _unit(name), "points": points} for name in shown if (points := curve(history, name))
        ],
        "references": {name: finite(value) for name, value in source.points[best.trial].references.items()},
        "leaders": [
            {"trial": trial.trial, "points": curve(source.histories[trial.trial], objective)} for trial in leaders
        ],
    }


def curve(history: History, metric: str) -> list[list[Any]]:
    """Return the epochs and values of a metric, every n-th of many; the first, the last and the extremes stay."""
    points = [[epoch, float(f"{metrics[metric]:.6g}")] for epoch, metrics in history if metric in metrics]
    points = [point for point in points if finite(point[1]) is not None]
    return points if len(points) <= MOST_POINTS else _thinned(points)


def _thinned(points: Sequence[list[Any]]) -> list[list[Any]]:
    step = -(-len(points) // (MOST_POINTS - 3))
    kept = set(range(0, len(points), step)) | {len(points) - 1}
    indices = range(len(points))
    kept |= {min(indices, key=lambda i: points[i][1]), max(indices, key=lambda i: points[i][1])}
    return [points[index] for index in sorted(kept)]


def _unit(metric: str) -> str:
    return TRIAL_METRICS[metric].unit if metric in TRIAL_METRICS else metric
