"""What Ray Tune sees of a searcher: packs of points, and what came of them."""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from sweeps.config import SweepConfig
from sweeps.config.search_space import Point
from sweeps.search.packing import batches_of, packs
from sweeps.search.searchers import Ended, Proposal, point_id, point_searcher

# How many packs are made for each worker at a time, where there are points for them.
_ROUNDS = 4


class TuneSearcher(Searcher):
    """What Ray Tune asks: each Tune trial carries `{"points": [{"id", "index", "point"}]}`, `largest_pack` at most.

    A result's `objectives` hold each point's objective by its id, or a list of several; without one that is finite the
    point has failed. A point's end is told when it is reported, or when its Tune trial ends. At most `concurrency`
    packs are out at once.
    """

    def __init__(
        self,
        config: SweepConfig,
        concurrency: int,
        ended: Mapping[int, Ended] | None = None,
        begun: Mapping[int, Point] | None = None,
        *,
        largest_pack: int = 1,
    ) -> None:
        super().__init__()
        self._config = config
        self._points = point_searcher(config, ended, begun)
        self._concurrency = concurrency
        self._largest_pack = largest_pack
        self._packs: deque[list[Proposal]] = deque()
        # The points that have not ended, by Tune trial: their indices by their ids.
        self._live: dict[str, dict[str, int]] = {}

    def suggest(self, trial_id: str) -> Any:
        """The config of the next Tune trial, None while it has to wait, FINISHED when there are no more."""
        if len(self._live) >= self._concurrency:
            return None
        if not self._packs:
            self._packs.extend(self._ask())
        if not self._packs:
            return self.FINISHED if self._points.is_exhausted else None
        pack = self._packs.popleft()
        self._live[trial_id] = {point_id(proposal.index): proposal.index for proposal in pack}
        return {"points": [{"id": point_id(p.index), "index": p.index, "point": p.point} for p in pack]}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell what came of the points that have ended."""
        for event in result.get("events", ()):
            index = self._live.get(trial_id, {}).pop(event["point_id"], None) if event["event"] == "end" else None
            if index is not None:
                self._points.tell(index, _objective_of(result, event["point_id"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take what came of a Tune trial: its last result, or none."""
        if result is not None:
            self.on_trial_result(trial_id, result)
        for name, index in self._live.pop(trial_id, {}).items():
            self._points.tell(index, None if error else _objective_of(result or {}, name))

    def save(self, checkpoint_path: str) -> None:
        """Nothing is saved: a sweep is resumed from its journal, through `ended`."""

    def _ask(self) -> list[list[Proposal]]:
        """The next packs: of some rounds at once, so that all workers have as much to do."""
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
    """The objectives' values of a point in a result; None where one is missing or not finite."""
    objective = result.get("objectives", {}).get(name, math.nan)
    values = [float(value) for value in (objective if isinstance(objective, (list, tuple)) else [objective])]
    return values if all(map(math.isfinite, values)) else None
