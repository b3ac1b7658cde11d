"""A point searcher as Ray Tune sees it: one that suggests packs of points and learns from their results."""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.packing import batches_of, packs
from sweeps.search.searchers import Ended, Proposal, point_id, point_searcher

# How many packs are made for each worker at a time, if the searcher proposes enough points.
_ROUNDS = 4


class TuneSearcher(Searcher):
    """Gives each Tune trial the config `{"points": [{"id", "index", "point"}]}`, with up to `largest_pack` points.

    The `objectives` of a result hold the objective of each point by its id, or a list of several objectives; a point
    without finite values has failed. The point searcher gets the result of a point when its end is reported, or when
    its Tune trial ends. At most `concurrency` packs run at once.
    """

    def __init__(
        self,
        config: SweepConfig,
        concurrency: int,
        ended: Mapping[int, Ended] | None = None,
        unfinished: Mapping[int, Point] | None = None,
        *,
        largest_pack: int = 1,
    ) -> None:
        super().__init__()
        self._config = config
        self._points = point_searcher(config, ended, unfinished)
        self._concurrency = concurrency
        self._largest_pack = largest_pack
        self._packs: deque[list[Proposal]] = deque()
        # By Tune trial, the points that have not ended: their indices by their ids.
        self._running: dict[str, dict[str, int]] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next Tune trial; None if Tune must wait, FINISHED if no points remain."""
        if len(self._running) >= self._concurrency:
            return None
        if not self._packs:
            self._packs.extend(self._ask())
        if not self._packs:
            return self.FINISHED if self._points.is_exhausted else None
        pack = self._packs.popleft()
        self._running[trial_id] = {point_id(proposal.index): proposal.index for proposal in pack}
        return {"points": [{"id": point_id(p.index), "index": p.index, "point": p.point} for p in pack]}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell the searcher the results of the points that have ended."""
        for event in result.get("events", ()):
            index = self._running.get(trial_id, {}).pop(event["point_id"], None) if event["event"] == "end" else None
            if index is not None:
                self._points.tell(index, _objective_of(result, event["point_id"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the searcher the results of the points that run until the end of a Tune trial."""
        if result is not None:
            self.on_trial_result(trial_id, result)
        for name, index in self._running.pop(trial_id, {}).items():
            self._points.tell(index, None if error else _objective_of(result or {}, name))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a sweep is resumed from its journal, through `ended`."""

    def _ask(self) -> list[list[Proposal]]:
        """Return the next packs: several for each worker at once, so that all workers have the same amount to do."""
        if self._largest_pack == 1:
            return [[proposal] for proposal in self._points.ask(1)]
        proposals = self._points.ask(_ROUNDS * self._largest_pack * self._concurrency)
        return packs(
            proposals,
            lambda proposal: batches_of(self._config, self._config.trial_at(proposal.point)),
            largest=self._largest_pack,
            concurrency=self._concurrency,
        )


def _objective_of(result: Mapping[str, Any], name: str) -> list[float] | None:
    """Return a point's objective values from a result; None if one is missing or not finite."""
    objective = result.get("objectives", {}).get(name, math.nan)
    values = [float(value) for value in (objective if isinstance(objective, (list, tuple)) else [objective])]
    return values if all(map(math.isfinite, values)) else None
