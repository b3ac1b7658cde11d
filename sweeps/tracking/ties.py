"""Which trials of a sweep are a statistical tie with its leader, by what they keep of each validation sample."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sweeps.storage.layout import SweepFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sweeps.tracking.sweep_result import RankedTrial, SweepResult

_N_READERS = 16
# Batches are summed in another order than in the metric, in float32.
_RELATIVE_ROUNDING, _ABSOLUTE_ROUNDING = 1e-4, 1e-7


@dataclass(frozen=True)
class Interval:
    """How far a trial's objective is from the leader's, with its simultaneous confidence interval."""

    difference: float
    low: float
    high: float

    @property
    def is_tie(self) -> bool:
        """Whether the interval contains 0."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Ties:
    """Which ranked trials cannot be told from the leader at this confidence (`sweeps.search.ties` has the method).

    `intervals` holds those of the trials after the leader, by id; `unknown` says why there is none, also for the
    leader.
    """

    leader: str
    confidence: float
    intervals: Mapping[str, Interval]
    unknown: Mapping[str, str]

    @property
    def tied(self) -> Sequence[str]:
        """Return the trials that tie with the leader, in rank order, without the leader."""
        return [trial for trial, interval in self.intervals.items() if interval.is_tie]

    def is_tie(self, trial: str) -> bool | None:
        """Return whether a trial ties with the leader, which ties with itself; None if that is unknown."""
        if trial == self.leader:
            return None if trial in self.unknown else True
        return self.intervals[trial].is_tie if trial in self.intervals else None

    def in_words(self) -> str:
        """Return in a sentence what ties with the leader; "" if nothing was compared."""
        n_compared, n_tied = len(self.intervals), len(self.tied)
        if not n_compared:
            return ""
        level = f"at {self.confidence * 100:g} %"
        unknown = f"; unknown for {len(self.unknown)} more" if self.unknown else ""
        if not n_tied:
            others = "the other trial" if n_compared == 1 else f"each of the {n_compared} other trials"
            return f"{self.leader} is better than {others} {level} on these validation samples{unknown}"
        verb = "is" if n_tied == 1 else "are"
        return (
            f"{n_tied} of {n_compared + 1} trials {verb} a statistical tie with {self.leader} {level}: "
            f"the order among them may be chance{unknown}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"tied": list(self.tied)}


def ties_of(result: "SweepResult") -> Ties | None:
    """Return the ties of a sweep's ranking; None with several objectives or without a ranked trial."""
    from sweeps.search.ties import CONFIDENCE, FEWEST_SAMPLES, differences

    ranking = result.ranking
    if not ranking or len(result.objective_metrics) > 1:
        return None
    leader = ranking[0].trial
    metric = result.objective_metrics[0]
    with ThreadPoolExecutor(min(_N_READERS, len(ranking))) as readers:
        read = list(readers.map(partial(_values_or_why, result.folder, metric), ranking))
    found = {trial.trial: values for trial, values in zip(ranking, read, strict=True)}
    unknown = {trial: values for trial, values in found.items() if isinstance(values, str)}
    own = found[leader]
    if isinstance(own, str):
        unknown = {
            trial: values if isinstance(values, str) else f"the leader, trial {leader}, has no values: {own}"
            for trial, values in found.items()
        }
        return Ties(leader, CONFIDENCE, {}, unknown)
    compared = {}
    for trial, values in found.items():
        if isinstance(values, str):
            continue
        if len(values) != len(own):
            unknown[trial] = f"it was validated on {len(values)} samples, the leader on {len(own)}"
        elif len(own) < FEWEST_SAMPLES:
            unknown[trial] = f"the validation split has {len(own)} samples, and at least {FEWEST_SAMPLES} are needed"
        else:
            compared[trial] = values
    if not compared:
        return Ties(leader, CONFIDENCE, {}, unknown)
    estimated = differences(list(compared.values()), reference=0)
    rows = zip(compared, estimated.mean.tolist(), estimated.low.tolist(), estimated.high.tolist(), strict=True)
    return Ties(leader, CONFIDENCE, {t: Interval(*ends) for t, *ends in rows if t != leader}, unknown)


def _values_or_why(folder: SweepFolder, metric: str, trial: "RankedTrial") -> "NDArray[np.float32] | str":
    """Return the values of a trial at its ranked epoch, (samples,), or why there are none."""
    from sweeps.storage.array_file import ArrayFileError
    from sweeps.storage.sample_values_file import read

    try:
        found = read(folder.point(trial.trial))
    except (ArrayFileError, OSError) as error:  # an unreachable store must not take the ranking with it
        return str(error)
    if found is None:
        return f"it kept no value of {metric} for each validation sample"
    if found.metric != metric or found.epoch != trial.epoch:
        return f"it kept the values of {found.metric} at epoch {found.epoch}, and is ranked at epoch {trial.epoch}"
    mean = float(found.values.mean(dtype="float64")) if len(found.values) else math.nan
    if not math.isclose(mean, trial.metrics[metric], rel_tol=_RELATIVE_ROUNDING, abs_tol=_ABSOLUTE_ROUNDING):
        return f"its values have the mean {mean:.6g}, and its {metric} is {trial.metrics[metric]:.6g}"
    return found.values
