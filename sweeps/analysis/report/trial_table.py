"""The trials as the charts read them: axes of the searched settings and objectives, and one compact row per trial."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.analysis.report.source import ReportSource, finite
from sweeps.config.search_space import Choices, Interval
from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.results import RankedTrial, SweepResult
from sweeps.tracking.short_text import number

_SIGNIFICANT_DIGITS = 6
# The values of a row, before its settings and objectives.
COLUMNS = ("trial", "rank", "state", "epoch", "epochs", "seconds", "stopped_by", "findings", "front", "reason")


def settings_axes(result: SweepResult) -> list[dict[str, Any]]:
    """Return an axis for each searched setting: `linear` or `log` with its bounds, or `category` with its values."""
    paths = dict.fromkeys([*result.config.search, *(path for point in result.points for path in point.point)])
    names = _short_names(list(paths))
    return [{"path": path, "name": names[path], **_axis(result, path)} for path in paths]


def objective_axes(result: SweepResult) -> list[dict[str, str]]:
    """Return an axis for each objective: its metric, and whether lower or higher is better."""
    return [{"path": o.metric, "name": o.metric, "direction": o.direction} for o in result.config.objectives]


def trial_rows(source: ReportSource) -> list[list[Any]]:
    """Return a row for each trial, ranked ones first: `COLUMNS`, then its settings, then its objectives.

    The value of a category is its index on the axis. Objectives of a trial without a rank are None.
    """
    result = source.result
    axes = settings_axes(result)
    ranked = {trial.trial: (rank, trial) for rank, trial in enumerate(result.ranking, start=1)}
    front = {trial.trial for trial in result.front} if len(result.config.objectives) > 1 else set()
    points = source.points
    order = [*ranked, *(point.point_id for point in result.points if point.point_id not in ranked)]
    return [_row(result, points[trial], axes, ranked.get(trial), trial in front) for trial in order]


def setting_text(value: Any) -> str:
    """Return the value of a setting as the product prints it."""
    return "" if value is None else number(value)


def _row(
    result: SweepResult,
    point: PointRecord,
    axes: Sequence[Mapping[str, Any]],
    ranked: tuple[int, RankedTrial] | None,
    is_on_front: bool,
) -> list[Any]:
    rank, trial = ranked or (None, None)
    settings = [_on_axis(point.point.get(axis["path"]), axis) for axis in axes]
    objectives = [None if trial is None else _rounded(trial.metrics.get(name)) for name in result.objective_metrics]
    return [
        point.point_id,
        rank,
        str(point.state),
        None if trial is None else trial.epoch,
        result.epochs.get(point.point_id, 0),
        _rounded(point.seconds),
        point.stopped_by,
        serious_names(point.diagnosis or ()),
        is_on_front,
        point.reason,
        *settings,
        *objectives,
    ]


def _short_names(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths without their section, where that leaves them distinct."""
    short = {path: path.partition(".")[2] or path for path in paths}
    return {path: name if list(short.values()).count(name) == 1 else path for path, name in short.items()}


def _axis(result: SweepResult, path: str) -> dict[str, Any]:
    searched = result.config.search.get(path)
    if isinstance(searched, Interval):
        return {"kind": "log" if searched.is_log else "linear", "low": searched.low, "high": searched.high}
    values = list(searched.values) if isinstance(searched, Choices) else []
    for point in result.points:
        if path in point.point and point.point[path] not in values:
            values.append(point.point[path])
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        values.sort()
    return {"kind": "category", "values": [setting_text(value) for value in values]}


def _on_axis(value: Any, axis: Mapping[str, Any]) -> Any:
    if value is None:
        return None
    return axis["values"].index(setting_text(value)) if axis["kind"] == "category" else _rounded(value)


def _rounded(value: Any) -> Any:
    return finite(float(f"{value:.{_SIGNIFICANT_DIGITS}g}")) if isinstance(value, float) else value
