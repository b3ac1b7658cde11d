"""A point that is followed epoch by epoch has the best epoch that its whole history has."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ObjectiveConfig
from sweeps.search.ranking import best_epoch
from sweeps.tracking.followed_point import FollowedPoint

VALUES = st.sampled_from([math.nan, 0.0, 1.0, 2.0, 3.0])
NAMES = ("valid/mse", "valid/r2", "train/loss")


@st.composite
def objectives(draw: st.DrawFn) -> list[ObjectiveConfig]:
    at = draw(st.sampled_from(["best", "last"]))
    names = draw(st.sampled_from([NAMES[:1], NAMES[1:2], NAMES[:2]]))
    return [ObjectiveConfig.model_validate({"metric": name, "at": at}) for name in names]


HISTORIES = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=8)


@given(objectives(), HISTORIES, st.integers(0, 8))
def test_best_epoch_is_that_of_the_whole_history(
    objectives: Sequence[ObjectiveConfig], history: list[dict[str, float]], n_repeated: int
) -> None:
    point = FollowedPoint(objectives)
    numbered = list(enumerate(history, start=1))
    for epoch, metrics in [*numbered, *numbered[-n_repeated:]]:  # a retried trial repeats epochs
        point.add(epoch, metrics, 10 * epoch)
    score, best = best_epoch(numbered, objectives), point.best()
    assert (point.n_epochs, point.last_ms) == (len(history), 10 * len(history))
    assert (score is None) == (best is None)
    if score is None or best is None:
        return
    assert best.epoch == score.epoch
    assert str(best.metrics) == str(history[score.epoch - 1])  # as text, since NaN differs from itself
    for objective in objectives:
        last, value = max(
            (epoch, metrics[objective.metric]) for epoch, metrics in numbered if objective.metric in metrics
        )
        expected = None if value == best.metrics[objective.metric] else last
        assert best.last_epochs.get(objective.metric) == expected
