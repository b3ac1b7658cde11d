"""A point searcher behind Ray Tune's interface."""

import math
from pathlib import Path
from typing import Any

import pytest
from searches import ALIKE, sweep

from sweeps.cluster.tune.searcher import TuneSearcher
from sweeps.config import load


def test_it_suggests_a_pack_of_one_point() -> None:
    suggestion = TuneSearcher(load("quickstart"), 2).suggest("t0")
    (entry,) = suggestion["points"]
    assert (entry["id"], entry["index"]) == ("0000", 0)
    assert list(entry["point"]) == list(load("quickstart").search)


def test_it_limits_running_packs_to_the_concurrency() -> None:
    searcher = TuneSearcher(sweep("random", n_trials=3), 2)
    assert searcher.suggest("a") is not None
    assert searcher.suggest("b") is not None
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", {"objectives": {"0000": 0.1}})
    assert searcher.suggest("c")["points"][0]["index"] == 2


def test_it_finishes_after_proposing_every_point() -> None:
    searcher = TuneSearcher(sweep("random", n_trials=1), 2)
    assert searcher.suggest("a") != TuneSearcher.FINISHED
    assert searcher.suggest("b") == TuneSearcher.FINISHED


@pytest.mark.parametrize(
    "ending",
    [
        {"error": True},
        {"error": True, "result": {"objectives": {"0000": 0.1}}},
        {"result": None},
        {"result": {}},
        {"result": {"objectives": {"0000": math.nan}}},
        {"result": {"objectives": {"0000": 0.5, "0001": 0.5, "0002": 0.5}}},
    ],
)
def test_the_next_batch_starts_after_any_kind_of_trial_end(ending: dict[str, Any]) -> None:
    searcher = TuneSearcher(sweep("tpe"), 8)
    for trial in "abc":
        assert searcher.suggest(trial) is not None
    assert searcher.suggest("d") is None
    for trial in "abc":
        searcher.on_trial_complete(trial, **ending)
    searcher.on_trial_complete("a", **ending)
    assert searcher.suggest("d")["points"][0]["index"] == 3


def test_it_suggests_packs_that_divide_the_points_among_the_workers() -> None:
    searcher = TuneSearcher(sweep("random", n_trials=7, search=ALIKE), 2, largest_pack=8)
    suggested = [searcher.suggest(trial) for trial in "ab"]
    assert [[entry["index"] for entry in pack["points"]] for pack in suggested] == [[0, 1, 2], [3, 4, 5, 6]]
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", {"objectives": {}})
    assert searcher.suggest("c") == TuneSearcher.FINISHED


def test_the_next_batch_starts_when_all_points_of_a_pack_have_ended() -> None:
    searcher = TuneSearcher(sweep("tpe", search=ALIKE), 1, largest_pack=8)
    first = searcher.suggest("a")["points"]
    assert [entry["index"] for entry in first] == [0, 1, 2]
    ended = [{"event": "end", "point_id": "0001"}, {"event": "epoch", "point_id": "0000"}]
    searcher.on_trial_result("a", {"events": ended, "objectives": {"0001": 0.5}})
    searcher.on_trial_complete("a", error=True)
    assert [entry["index"] for entry in searcher.suggest("b")["points"]] == [3, 4, 5]


def test_ended_points_of_a_lost_pack_keep_their_values() -> None:
    alike, lost = (TuneSearcher(sweep("tpe", search=ALIKE), 1, largest_pack=8) for _ in range(2))
    values = {"0000": 0.1, "0001": 0.5, "0002": 0.9}
    for searcher in (alike, lost):
        searcher.suggest("a")
        events = [{"event": "end", "point_id": name} for name in values]
        searcher.on_trial_result("a", {"events": events, "objectives": values})
    alike.on_trial_complete("a", {"objectives": values})
    lost.on_trial_complete("a", error=True)
    assert lost.suggest("b") == alike.suggest("b")


def test_it_saves_nothing_because_the_journal_has_everything(tmp_path: Path) -> None:
    TuneSearcher(sweep("random"), 2).save_to_dir(str(tmp_path))
    assert not list(tmp_path.iterdir())
