"""The best of a sweep so far, recorded after each trial that ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.config import ObjectiveConfig
from sweeps.search.ranking import Score, rank
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import BestEpoch
from sweeps.tracking.mlflow.run_metadata import BEST_PREFIX, BEST_SO_FAR_PREFIX
from sweeps.tracking.resume_state import ResumeState


@dataclass
class _Bests:
    """The score of the trial that ranks first, and the best value of each objective that any trial has."""

    leader: Score
    values: tuple[float, ...]


class BestSoFar:
    """The leading trial, each objective's best value, and how many trials have ended; all continue after a resume."""

    def __init__(self, resume_state: ResumeState, objectives: Sequence[ObjectiveConfig]) -> None:
        self._objectives = objectives
        self._n_ended = len(resume_state.ended_ids)
        self._bests: _Bests | None = None
        ranking = () if resume_state.result is None else resume_state.result.ranking
        for trial in ranking:
            self._add(BestEpoch(trial.epoch, trial.metrics, {}))

    def record(self, journal: Journal, best: BestEpoch | None, time_ms: int) -> None:
        """Count a trial that has ended, with its best epoch if it has one, and record what is best so far.

        `best/` has the objectives of the trial that ranks first, `best_so_far/` the best value of each objective, which
        with several objectives may be another trial's.
        """
        self._n_ended += 1
        if best is not None:
            self._add(best)
        if self._bests is not None:
            names = [objective.metric for objective in self._objectives]
            metrics = {BEST_PREFIX + name: value for name, value in zip(names, self._bests.leader.values, strict=True)}
            metrics |= {BEST_SO_FAR_PREFIX + name: v for name, v in zip(names, self._bests.values, strict=True)}
            journal.record_progress(self._n_ended, metrics, time_ms)

    def _add(self, best: BestEpoch) -> None:
        score = Score(best.epoch, tuple(best.metrics[objective.metric] for objective in self._objectives))
        if self._bests is None:
            self._bests = _Bests(score, score.values)
            return
        scores = {"earlier": self._bests.leader, "new": score}
        self._bests.leader = scores[rank(scores, self._objectives)[0]]
        compared = zip(self._objectives, score.values, self._bests.values, strict=True)
        self._bests.values = tuple(
            value if objective.is_better(value, earlier) else earlier for objective, value, earlier in compared
        )
