"""The best value so far of a sweep, recorded after each trial that ends."""

from collections.abc import Sequence

from sweeps.config import ObjectiveConfig
from sweeps.search.ranking import Score, rank
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import BestEpoch
from sweeps.tracking.mlflow.run_metadata import BEST_PREFIX
from sweeps.tracking.resume_state import ResumeState


class BestSoFar:
    """The objectives of the trial that ranks first, and how many trials have ended; both continue after a resume."""

    def __init__(self, resume_state: ResumeState, objectives: Sequence[ObjectiveConfig]) -> None:
        self._objectives = objectives
        self._n_ended = len(resume_state.ended_ids)
        first = None if resume_state.result is None else resume_state.result.best
        self._score = None if first is None else self._score_of(BestEpoch(first.epoch, first.metrics, {}))

    def record(self, journal: Journal, best: BestEpoch | None, time_ms: int) -> None:
        """Count a trial that has ended, with its best epoch if it has one, and record the best objectives so far."""
        self._n_ended += 1
        if best is not None:
            self._score = self._leading(self._score_of(best))
        if self._score is not None:
            named = zip(self._objectives, self._score.values, strict=True)
            metrics = {BEST_PREFIX + objective.metric: value for objective, value in named}
            journal.record_progress(self._n_ended, metrics, time_ms)

    def _score_of(self, best: BestEpoch) -> Score:
        return Score(best.epoch, tuple(best.metrics[objective.metric] for objective in self._objectives))

    def _leading(self, score: Score) -> Score:
        scores = {"earlier": self._score, "new": score} if self._score is not None else {"new": score}
        return scores[rank(scores, self._objectives)[0]]
