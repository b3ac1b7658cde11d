"""What the analysis of a sweep says, as sentences for the page and numbers for its charts."""

from collections import Counter
from typing import Any

from sweeps.analysis.report.source import ReportSource
from sweeps.models.diagnosis.findings import serious_names
from sweeps.search.stopping import STOPPED_EARLY
from sweeps.tracking.journal.records import PointState


def analysis_of(source: ReportSource) -> dict[str, Any]:
    """Return the sentences and tables of each section, and under `charts` what their charts are drawn from."""
    return {
        "charts": {"importance": None, "contour": None, "convergence": None},
        "won": [],
        "best_file": "",
        "mattered": [],
        "importance_height": 0,
        "importance_note": "",
        "slices_note": "",
        "contour_title": "",
        "contour_note": "",
        "wrong": _what_went_wrong(source),
        "findings_table": _findings(source),
        "failed": _failed(source),
        "cost": _cost(source),
        "convergence_note": "",
        "next": [],
        "next_file": "",
    }


def _what_went_wrong(source: ReportSource) -> list[str]:
    result = source.result
    early = sum(STOPPED_EARLY in point.tags for point in result.points if point.state is PointState.FINISHED)
    diagnosed = [point for point in result.points if point.diagnosis is not None]
    serious = sum(bool(serious_names(point.diagnosis or ())) for point in diagnosed)
    lines = [f"{result.count(PointState.FAILED)} of {len(result.points)} trials failed; {early} were stopped early."]
    if diagnosed:
        lines.append(f"The diagnosis has findings above a note for {serious} of {len(diagnosed)} trials.")
    return lines


def _findings(source: ReportSource) -> list[dict[str, Any]]:
    counts = Counter(name for point in source.result.points for name in serious_names(point.diagnosis or ()))
    return [{"name": name, "count": count, "where": ""} for name, count in counts.most_common()]


def _failed(source: ReportSource) -> list[tuple[str, str]]:
    failed = [point for point in source.result.points if point.state is PointState.FAILED]
    return [(point.point_id, point.reason or "") for point in failed]


def _cost(source: ReportSource) -> list[str]:
    result = source.result
    seconds = sum(point.seconds or 0.0 for point in result.points)
    wall = "" if result.seconds is None else f"The sweep took {_duration(result.seconds)}. "
    return [f"{wall}Its trials ran for {_duration(seconds)} in all; trials in a pack share that time."]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
