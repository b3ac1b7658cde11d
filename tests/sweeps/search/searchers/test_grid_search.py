import itertools

from searches import run, sweep

GRID = {"model.hidden_size": {"grid": [8, 16]}, "training.seed": {"grid": [0, 1, 2]}}


def test_grid_takes_every_combination_with_the_last_path_varying_fastest() -> None:
    points = [proposal.point for proposal in run(sweep("grid", search=GRID), concurrency=1, seed=0)]
    assert [tuple(point.values()) for point in points] == list(itertools.product([8, 16], [0, 1, 2]))
