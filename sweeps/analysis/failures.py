"""What went wrong in a sweep: findings and failures counted, with the settings that tell them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.analysis.cost import is_cut_by_budget, saved_epochs
from sweeps.analysis.splits import Split, telling_split
from sweeps.models.diagnosis.findings import Severity, severity_of
from sweeps.search.stopping import ALL_EPOCHS
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.sweep_result import SweepResult


@dataclass(frozen=True)
class FindingCount:
    """A finding and the diagnosed trials that have it; `split` is the setting that tells them apart, if one does."""

    name: str
    severity: str
    n_trials: int
    n_diagnosed: int
    trials: tuple[str, ...]
    split: Split | None

    @property
    def sentence(self) -> str:
        """Return how many trials have the finding, by setting where one tells them apart."""
        if self.split is None:
            return f"{self.n_trials} of {self.n_diagnosed} diagnosed trials have the finding {self.name!r}"
        return self.split.sentence(f"have the finding {self.name!r}")


@dataclass(frozen=True)
class FailureReason:
    """Failed trials with the same reason."""

    reason: str
    n_trials: int
    trials: tuple[str, ...]


@dataclass(frozen=True)
class EarlyStop:
    """Trials that a rule stopped early, and the epochs that they did not train."""

    rule: str
    n_trials: int
    saved_epochs: int
    trials: tuple[str, ...]


@dataclass(frozen=True)
class Failures:
    """What went wrong: findings, most frequent first of each severity; failed trials by reason; early stops by rule.

    `cut_short` are the trials that a limit of the budget ended; they saved no epochs.

    `failed_split` is the setting that tells failed trials from finished ones, if one does.
    """

    findings: tuple[FindingCount, ...]
    failed: tuple[FailureReason, ...]
    failed_split: Split | None
    stopped_early: tuple[EarlyStop, ...]
    cut_short: tuple[EarlyStop, ...]


def failures(result: SweepResult) -> Failures:
    """Return what went wrong in a sweep."""
    return Failures(_findings(result), _failed(result), _failed_split(result), *_stopped(result))


def _findings(result: SweepResult) -> tuple[FindingCount, ...]:
    """Return the findings above a note."""
    diagnosed = [point for point in result.points if point.diagnosis is not None]
    by_name: dict[tuple[str, str], dict[str, PointRecord]] = {}
    for point in diagnosed:
        for finding in point.diagnosis or ():
            severity = severity_of(finding)
            if severity is not Severity.NOTE:
                by_name.setdefault((str(finding["name"]), str(severity)), {})[point.point_id] = point
    n_searches = len(by_name)
    counts = []
    for (name, gravity), points in by_name.items():
        has_it = [point.point_id in points for point in diagnosed]
        split = telling_split(result, diagnosed, has_it, n_searches=n_searches)
        counts.append(FindingCount(name, gravity, len(points), len(diagnosed), tuple(points), split))
    return tuple(sorted(counts, key=lambda count: (count.severity != Severity.FAILURE, -count.n_trials, count.name)))


def _failed(result: SweepResult) -> tuple[FailureReason, ...]:
    by_reason: dict[str, list[str]] = {}
    for point in result.points:
        if point.state is PointState.FAILED:
            by_reason.setdefault(point.reason or "no reason was recorded", []).append(point.point_id)
    reasons = [FailureReason(reason, len(trials), tuple(trials)) for reason, trials in by_reason.items()]
    return tuple(sorted(reasons, key=lambda reason: (-reason.n_trials, reason.reason)))


def _failed_split(result: SweepResult) -> Split | None:
    ended = [point for point in result.points if point.state in (PointState.FINISHED, PointState.FAILED)]
    return telling_split(result, ended, [point.state is PointState.FAILED for point in ended])


def _stopped(result: SweepResult) -> tuple[tuple[EarlyStop, ...], tuple[EarlyStop, ...]]:
    """Return the early stops, and the trials cut short by the budget."""
    by_rule: dict[str, list[PointRecord]] = {}
    for point in result.points:
        if point.state is PointState.FINISHED and point.stopped_by not in (None, ALL_EPOCHS):
            by_rule.setdefault(str(point.stopped_by), []).append(point)
    stops = [
        EarlyStop(rule, len(points), _saved(result, points), tuple(point.point_id for point in points))
        for rule, points in sorted(by_rule.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    cut = {point.point_id for point in result.points if is_cut_by_budget(point)}
    early = tuple(stop for stop in stops if cut.isdisjoint(stop.trials))
    return early, tuple(stop for stop in stops if not cut.isdisjoint(stop.trials))


def _saved(result: SweepResult, points: Sequence[PointRecord]) -> int:
    return sum(saved_epochs(result, point) for point in points)
