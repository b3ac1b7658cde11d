"""The setting that tells trials with an event from those without: a threshold or a choice, if one is significant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.analysis.axes import Axis, axes
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.sweep_result import SweepResult

LEVEL = 0.05
# Thresholds tried for each setting: with more trials than this, quantiles of the values.
MAX_THRESHOLDS = 40


@dataclass(frozen=True)
class Split:
    """The trials on two sides of a setting, where an event is frequent and where it is rare.

    `side` is "above", "below" or "at" (a choice), of `value`. `n_events` of `n_trials` on that side have the event,
    `n_events_beside` of `n_trials_beside` on the other. `p_value` is that of Fisher's exact test times the number of
    splits tried.
    """

    path: str
    side: str
    value: Any
    n_events: int
    n_trials: int
    n_events_beside: int
    n_trials_beside: int
    p_value: float

    def sentence(self, event: str) -> str:
        """Return the split in words; `event` is what the trials did, such as "collapsed"."""
        where, beside = {
            "above": (f"above {_shown(self.value)}", "at or below it"),
            "below": (f"at or below {_shown(self.value)}", "above it"),
            "at": (f"at {_shown(self.value)}", "elsewhere"),
        }[self.side]
        return (
            f"{self.n_events} of {self.n_trials} trials with {self.path} {where} {event}, "
            f"{self.n_events_beside} of {self.n_trials_beside} {beside}"
        )


def telling_split(
    result: SweepResult, points: Sequence[PointRecord], has_event: Sequence[bool], n_searches: int = 1
) -> Split | None:
    """Return the split with the lowest p-value; None if it is not significant.

    The p-value is corrected for all splits tried, and for `n_searches` that a report makes (Bonferroni).
    """
    if not any(has_event) or all(has_event):
        return None
    found = axes(result, [point.point for point in points])
    candidates = [
        candidate
        for axis in found
        for candidate in _candidates(axis, [axis.place(point.point[axis.path]) for point in points])
    ]
    tested = [(_p_value(inside, has_event), axis, side, value, inside) for axis, side, value, inside in candidates]
    if not tested:
        return None
    p_value, axis, side, value, inside = min(tested, key=lambda entry: entry[0])
    corrected = min(1.0, p_value * len(tested) * n_searches)
    return _split(axis, side, value, inside, has_event, corrected) if corrected <= LEVEL else None


def _candidates(axis: Axis, places: Sequence[float]) -> Iterator[tuple[Axis, str, Any, tuple[bool, ...]]]:
    """Yield each split of an axis, with whether each trial lies on its side."""
    if axis.is_categorical and not axis.is_ordered:
        for place in sorted(set(places)):
            yield axis, "at", axis.value(place), tuple(other == place for other in places)
        return
    distinct = sorted(set(places))
    steps = range(len(distinct) - 1)
    if len(steps) > MAX_THRESHOLDS:
        steps = range(0, len(distinct) - 1, -(-len(steps) // MAX_THRESHOLDS))
    for step in steps:
        # Between the two trials that it separates; of choices and whole numbers, the lower one.
        is_discrete = axis.is_categorical or axis.is_whole
        threshold = distinct[step] if is_discrete else (distinct[step] + distinct[step + 1]) / 2
        yield axis, "above", axis.value(threshold), tuple(place > distinct[step] for place in places)


def _p_value(inside: Sequence[bool], has_event: Sequence[bool]) -> float:
    """Return the two-sided p-value of Fisher's exact test."""
    from scipy.stats import fisher_exact

    return float(fisher_exact(_table(inside, has_event)).pvalue)


def _table(inside: Sequence[bool], has_event: Sequence[bool]) -> list[list[int]]:
    pairs = list(zip(inside, has_event, strict=True))
    return [[pairs.count((side, event)) for event in (True, False)] for side in (True, False)]


def _split(
    axis: Axis, side: str, value: Any, inside: Sequence[bool], has_event: Sequence[bool], p_value: float
) -> Split:
    (events, others), (events_beside, others_beside) = _table(inside, has_event)
    here, beside = (events, events + others), (events_beside, events_beside + others_beside)
    if side == "above" and here[0] * beside[1] < beside[0] * here[1]:
        side, here, beside = "below", beside, here
    return Split(axis.path, side, value, *here, *beside, p_value)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
