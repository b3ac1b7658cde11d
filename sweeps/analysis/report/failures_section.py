"""What went wrong: findings with the settings that tell them apart, failed trials, and trials stopped early."""

from collections.abc import Sequence
from typing import Any

from sweeps.analysis.failures import Failures, failures
from sweeps.analysis.report.source import ReportSource
from sweeps.tracking.journal.records import PointState

_MOST_TRIALS = 8


def failures_section(source: ReportSource) -> dict[str, Any]:
    """Return the section's sentences, a table of findings, and one of failed trials by reason."""
    found = failures(source.result)
    return {
        "wrong": _sentences(source, found),
        "findings_table": [
            {
                "name": count.name,
                "severity": count.severity,
                "count": f"{count.n_trials} of {count.n_diagnosed}",
                "where": "" if count.split is None else f"{count.split.sentence('have it')}.",
                "trials": _listed(count.trials),
            }
            for count in found.findings
        ],
        "failed": [(_listed(reason.trials), reason.reason) for reason in found.failed],
    }


def _sentences(source: ReportSource, found: Failures) -> list[str]:
    result = source.result
    n_failed = result.count(PointState.FAILED)
    lines = [f"{n_failed} of {len(result.points)} trials failed." if n_failed else "No trial failed."]
    if found.failed_split is not None:
        lines.append(f"{found.failed_split.sentence('failed')}.")
    lines += [
        f"{_trials_were(stop.n_trials)} stopped early by {stop.rule}, which saved {stop.saved_epochs:,} epochs."
        for stop in found.stopped_early
    ]
    lines += [f"{_trials_were(stop.n_trials)} cut short by {stop.rule}." for stop in found.cut_short]
    if not found.stopped_early:
        lines.append("No trial was stopped early.")
    n_diagnosed = sum(point.diagnosis is not None for point in result.points)
    if n_diagnosed and not found.findings:
        lines.append(f"The diagnosis of {n_diagnosed} trials has no finding above a note.")
    return lines


def _trials_were(n_trials: int) -> str:
    return "1 trial was" if n_trials == 1 else f"{n_trials} trials were"


def _listed(trials: Sequence[str]) -> str:
    more = len(trials) - _MOST_TRIALS
    return ", ".join(trials[:_MOST_TRIALS]) + (f" and {more} more" if more > 0 else "")
