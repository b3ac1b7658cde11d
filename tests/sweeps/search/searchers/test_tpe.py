from hypothesis import given, settings
from hypothesis import strategies as st
from searches import LISTS, run, sweep

from sweeps.search.searchers import Ended, point_searcher


def test_tpe_waits_for_the_whole_batch_before_it_proposes_the_next() -> None:
    searcher = point_searcher(sweep("tpe"))
    assert [proposal.index for proposal in searcher.ask(10)] == [0, 1, 2]
    searcher.tell(2, [0.1])
    searcher.tell(0, None)
    assert searcher.ask(1) == []
    searcher.tell(1, [0.3])
    assert [proposal.index for proposal in searcher.ask(10)] == [3, 4, 5]


def test_tpe_comes_closer_to_the_best_point_than_random() -> None:
    search = {"model.noise.level": {"uniform": [0.0, 1.0]}, "model.weight_l1": {"uniform": [0.0, 1.0]}}

    def mean_of_the_last(algorithm: str, seed: int) -> float:
        searcher = point_searcher(sweep(algorithm, n_trials=40, seed=seed, search=search))
        losses = []
        while not searcher.is_exhausted:
            for proposal in searcher.ask(4):
                loss = sum((value - 0.8) ** 2 for value in proposal.point.values())
                searcher.tell(proposal.index, [loss])
                losses.append(loss)
        return sum(losses[-15:]) / 15

    seeds = range(3)
    assert sum(mean_of_the_last("tpe", seed) for seed in seeds) < 0.5 * sum(
        mean_of_the_last("random", seed) for seed in seeds
    )


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats() | st.none(), min_size=6, max_size=6))
def test_tpe_accepts_whatever_a_training_returns(values: list[float | None]) -> None:
    searcher = point_searcher(sweep("tpe", n_trials=8))
    for value in values:
        (proposal,) = searcher.ask(1)
        searcher.tell(proposal.index, None if value is None else [value])
    assert len(searcher.ask(3)) == 2


def test_tpe_learns_from_a_recorded_point_that_it_would_not_propose_now() -> None:
    config = sweep("tpe", model={"name": "deep"}, search=LISTS)
    recorded = {index: Ended({"model.hidden_sizes": [7], "model.code_size": 3}, [float(index)]) for index in range(5)}
    assert [proposal.index for proposal in run(config, concurrency=2, seed=0, ended=recorded)] == list(range(5, 12))
