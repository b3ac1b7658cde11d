import math
import operator

from hypothesis import given
from hypothesis import strategies as st

from sweeps.config import ObjectiveConfig
from sweeps.search.ranking import Score, best_epoch, epoch_values, front, rank

ERROR = (ObjectiveConfig(metric="valid/mse"),)
R2 = (ObjectiveConfig(metric="valid/r2"),)
ERROR_AND_SPARSITY = (ObjectiveConfig(metric="valid/mse"), ObjectiveConfig(metric="valid/code_sparsity"))

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12)


def test_the_best_epoch_has_the_least_error() -> None:
    history = [(1, {"valid/mse": 0.3}), (2, {"valid/mse": 0.1}), (3, {"valid/mse": 0.2})]
    assert best_epoch(history, ERROR) == Score(2, (0.1,))


def test_the_best_epoch_has_the_highest_r2() -> None:
    assert best_epoch([(1, {"valid/r2": 0.3}), (2, {"valid/r2": 0.1})], R2) == Score(1, (0.3,))


def test_the_earliest_of_equal_epochs_is_the_best() -> None:
    assert best_epoch([(4, {"valid/mse": 0.1}), (2, {"valid/mse": 0.1})], ERROR) == Score(2, (0.1,))


def test_nan_and_infinity_never_win() -> None:
    history = [(1, {"valid/mse": math.nan}), (2, {"valid/mse": -math.inf}), (3, {"valid/mse": 9.0})]
    assert best_epoch(history, ERROR) == Score(3, (9.0,))
    assert best_epoch(history[:2], ERROR) is None


def test_an_epoch_counts_only_if_all_its_objectives_are_there_and_finite() -> None:
    whole = {"valid/mse": 0.5, "valid/code_sparsity": 0.5}
    for other in (math.nan, math.inf):
        history = [(1, {"valid/mse": 0.1, "valid/code_sparsity": other}), (2, whole), (3, {"valid/mse": 0.2})]
        assert best_epoch(history, ERROR_AND_SPARSITY) == Score(2, (0.5, 0.5))
        assert best_epoch(history[:1], ERROR_AND_SPARSITY) is None


def test_epochs_without_the_objective_do_not_count() -> None:
    history = [(1, {"train/loss": 0.3}), (2, {"valid/mse": 0.1}), (3, {"train/loss": 0.2})]
    last = (ObjectiveConfig(metric="valid/mse", at="last"),)
    assert best_epoch(history, ERROR) == best_epoch(history, last) == Score(2, (0.1,))
    assert best_epoch([], ERROR) is None


def test_at_last_takes_the_last_epoch_and_nothing_where_it_is_nan() -> None:
    last = (ObjectiveConfig(metric="valid/mse", at="last"),)
    history = [(1, {"valid/mse": 0.1}), (2, {"valid/mse": 0.2})]
    assert best_epoch(history, last) == Score(2, (0.2,))
    assert best_epoch([*history, (3, {"valid/mse": math.nan})], last) is None


def test_several_objectives_are_taken_at_the_best_epoch_of_the_first() -> None:
    history = [(1, {"valid/mse": 0.1, "valid/code_sparsity": 0.2}), (2, {"valid/mse": 0.3, "valid/code_sparsity": 0.9})]
    assert best_epoch(history, ERROR_AND_SPARSITY) == Score(1, (0.1, 0.2))


def test_rank_puts_the_best_first_and_keeps_the_order_of_equals() -> None:
    scores = {"a": Score(1, (0.2,)), "b": Score(1, (0.1,)), "c": Score(9, (0.2,))}
    assert rank(scores, ERROR) == ["b", "a", "c"]
    assert rank(scores, R2) == ["a", "c", "b"]


def test_the_front_leaves_out_what_another_point_beats() -> None:
    scores = {"both": Score(1, (0.1, 0.9)), "worse": Score(1, (0.2, 0.8)), "exact": Score(1, (0.05, 0.1))}
    assert front(scores, ERROR_AND_SPARSITY) == ["exact", "both"]
    assert rank(scores, ERROR_AND_SPARSITY) == ["exact", "both", "worse"]


@given(pairs)
def test_no_point_of_the_front_is_beaten_and_every_other_is(values: list[tuple[int, int]]) -> None:
    scores = {index: Score(1, (float(error), float(sparsity))) for index, (error, sparsity) in enumerate(values)}
    leading = front(scores, ERROR_AND_SPARSITY)

    def is_beaten(index: int) -> bool:
        error, sparsity = values[index]
        return any(e <= error and s >= sparsity and (e, s) != (error, sparsity) for e, s in values)

    assert sorted(leading) == [index for index in scores if not is_beaten(index)]
    assert sorted(rank(scores, ERROR_AND_SPARSITY)) == sorted(scores)
    assert rank(scores, ERROR_AND_SPARSITY)[: len(leading)] == leading


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[st.integers(0, 5)] * n), max_size=30)))
def test_fronts_follow_each_other_in_rank_order(values: list[tuple[int, ...]]) -> None:
    metrics = ("valid/mse", "valid/denoise_mse", "valid/probe_error")
    objectives = [
        ObjectiveConfig(metric=metric) for metric, _ in zip(metrics, values[0] if values else (), strict=False)
    ]
    scores = {index: Score(1, tuple(map(float, losses))) for index, losses in enumerate(values)}
    expected: list[int] = []
    while remaining := [index for index in scores if index not in expected]:
        beaten = {
            index
            for index in remaining
            for other in remaining
            if values[other] != values[index] and all(map(operator.le, values[other], values[index]))
        }
        expected += sorted((index for index in remaining if index not in beaten), key=lambda index: values[index])
    assert rank(scores, objectives) == expected


def test_epoch_values_are_those_that_rank_a_point_so_far() -> None:
    history = [(1, {"valid/mse": 0.5}), (2, {}), (3, {"valid/mse": 0.7}), (4, {"valid/mse": 0.2})]
    best, last = (ObjectiveConfig(metric="valid/mse", at=at) for at in ("best", "last"))
    assert epoch_values(history, best) == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.2)]
    assert epoch_values(history, last) == [(1, 0.5), (2, 0.5), (3, 0.7), (4, 0.2)]
    (start,) = epoch_values([(1, {})], best)
    assert start[0] == 1
    assert math.isnan(start[1])
