"""The texts of a report that need no script: the sweep in short, the ranking, and the best trial."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sweeps.analysis.report.source import ReportSource
from sweeps.analysis.report.trial_table import setting_text, settings_axes
from sweeps.analysis.seeds import in_words, rank_by_mean
from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointState, SweepState
from sweeps.tracking.result_text import counts_line, why_no_best
from sweeps.tracking.results import RankedTrial, SweepResult

# Points whose means over seeds are named.
_MEANS = 5


def overview(source: ReportSource) -> dict[str, Any]:
    """Return the sweep in short: its name, state, counts, data, and when its last entry was recorded."""
    result = source.result
    dataset: Mapping[str, Any] = result.record.dataset or {}
    return {
        "sweep": result.sweep,
        "description": result.config.description,
        "state": str(result.record.state),
        "is_running": result.record.state is SweepState.RUNNING,
        "counts": counts_line(result),
        "as_of": datetime.fromtimestamp(source.last_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "dataset": str(dataset.get("name", "")),
        "model": str(result.config.model.name),
        "algorithm": str(result.config.algorithm.name),
        "why_no_best": "" if result.ranking else why_no_best(result),
        "n_ranked": len(result.ranking),
        "is_pareto": len(result.config.objectives) > 1,
    }


def ranking_rows(source: ReportSource) -> list[dict[str, Any]]:
    """Return a row of texts for each ranked trial, best first, then for each other trial."""
    result, axes = source.result, settings_axes(source.result)
    front = {trial.trial for trial in result.front}
    ranked = {trial.trial: (rank, trial) for rank, trial in enumerate(result.ranking, start=1)}
    order = [*ranked, *(point.point_id for point in result.points if point.point_id not in ranked)]
    rows = []
    for name in order:
        point, (rank, trial) = source.points[name], ranked.get(name, (None, None))
        metrics: Mapping[str, float] = {} if trial is None else trial.metrics
        rows.append(
            {
                "rank": "" if rank is None else str(rank),
                "trial": name,
                "mark": _mark(source, trial, is_on_front=name in front),
                "objectives": [setting_text(metrics.get(metric)) for metric in result.objective_metrics],
                "settings": [setting_text(point.point.get(axis["path"])) for axis in axes],
                "epoch": "" if trial is None else f"{trial.epoch}/{trial.epochs}",
                "end": _end(point.state, point.stopped_by),
                "findings": ", ".join(serious_names(point.diagnosis or ())),
                "reason": point.reason or "",
            }
        )
    return rows


def verdict(source: ReportSource) -> list[str]:
    """Return in words which trials lead; none if no trial is ranked."""
    result, best = source.result, source.result.best
    if best is None:
        return []
    if len(result.config.objectives) > 1:
        n_front = len(result.front)
        dominated = len(result.ranking) - n_front
        are = "trial is" if n_front == 1 else "trials are"
        return [f"{n_front} {are} on the Pareto front, which dominates {dominated} of the ranked trials."]
    metric = result.objective_metrics[0]
    value = best.metrics[metric]
    line = f"Trial {best.trial} leads with {metric} {setting_text(value)} at epoch {best.epoch}"
    equal = [trial.trial for trial in result.ranking[1:] if trial.metrics[metric] == value]
    if equal:
        line += f". {len(equal)} other{'s have' if len(equal) > 1 else ' has'} exactly the same value"
    elif len(result.ranking) > 1:
        second = result.ranking[1]
        line += f"; the next, trial {second.trial}, has {setting_text(second.metrics[metric])}"
    tie = "" if result.ties is None else result.ties.in_words()
    return [*_means(result), f"{line}.", *([f"{tie}."] if tie else [])]


def _means(result: SweepResult) -> list[str]:
    """Return what the means over seeds say; none if no point was trained on several seeds."""
    ranked = rank_by_mean(result)
    lines = [
        f"Number {place} over its seeds: {mean.label}, mean {setting_text(mean.mean)}, 95 % interval "
        f"{setting_text(mean.low)} to {setting_text(mean.high)}."
        for place, mean in enumerate(ranked[:_MEANS], start=1)
    ]
    words = in_words(ranked)
    return [f"{words[:1].upper()}{words[1:]}.", *lines, "Single trials, each with one seed:"] if ranked else []


def best_trial(source: ReportSource) -> dict[str, Any] | None:
    """Return the best trial as texts, with its findings and their advice; None if no trial is ranked."""
    best = source.result.best
    if best is None:
        return None
    return {
        "trial": best.trial,
        "label": best.label,
        "epoch": best.epoch,
        "epochs": best.epochs,
        "metrics": [(name, setting_text(value)) for name, value in sorted(best.metrics.items())],
        "settings": [(path, setting_text(value)) for path, value in best.point.items()],
        "findings": [(finding["name"], finding["advice"]) for finding in best.diagnosis or ()],
    }


def _mark(source: ReportSource, trial: RankedTrial | None, *, is_on_front: bool) -> str:
    """Return how a trial stands to the leader: on the Pareto front, or tied."""
    if trial is None:
        return ""
    if len(source.result.config.objectives) > 1:
        return "front" if is_on_front else ""
    if trial is source.result.best:
        return "best"
    ties = source.result.ties
    return "tie" if ties is not None and ties.is_tie(trial.trial) else ""


def _end(state: PointState, stopped_by: str | None) -> str:
    return stopped_by if state is PointState.FINISHED and stopped_by is not None else str(state).lower()
