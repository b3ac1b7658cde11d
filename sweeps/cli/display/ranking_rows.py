"""A ranking with all its columns: every trial with its settings, its metrics, and how it ended."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.results import RankedTrial, SweepResult


def ranking_rows(result: SweepResult, top: int | None = None) -> list[dict[str, Any]]:
    """Return a row for each of the `top` trials; without `top` for all, those that are not ranked last.

    Metrics are those at `epoch`, by which a trial is ranked. Findings are those above a note.
    """
    points = {point.point_id: point for point in result.points}
    settings = list(dict.fromkeys(path for point in result.points for path in point.point))
    metrics = list(dict.fromkeys([*result.objective_metrics, *_metrics(result.ranking)]))
    ranked = result.ranking[:top]
    rows = [_row(points[trial.trial], settings, metrics, trial, rank) for rank, trial in enumerate(ranked, start=1)]
    if len(result.objective_metrics) > 1:
        rows = [row | {"front": trial in result.front} for row, trial in zip(rows, ranked, strict=True)]
    rows = [row | {"tie": result.ties and result.ties.is_tie(row["trial"])} for row in rows]
    if top is None:
        known = {trial.trial for trial in result.ranking}
        others = [point for point in result.points if point.point_id not in known]
        rows += [_row(point, settings, metrics) | {"tie": None} for point in others]
    return rows


def _metrics(trials: Sequence[RankedTrial]) -> Iterator[str]:
    for trial in trials:
        yield from trial.metrics


def _row(
    point: PointRecord,
    settings: Sequence[str],
    metrics: Sequence[str],
    ranked: RankedTrial | None = None,
    rank: int | None = None,
) -> dict[str, Any]:
    values: Mapping[str, float] = {} if ranked is None else ranked.metrics
    return {
        "rank": rank,
        "trial": point.point_id,
        "state": str(point.state),
        **{path: point.point.get(path) for path in settings},
        **{name: values.get(name) for name in metrics},
        "epoch": ranked and ranked.epoch,
        "epochs": ranked and ranked.epochs,
        "seconds": point.seconds,
        "stopped_by": point.stopped_by,
        "findings": "; ".join(serious_names(point.diagnosis or ())),
        "reason": point.reason,
        "run_id": point.run_id,
    }
