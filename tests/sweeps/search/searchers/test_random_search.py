from hypothesis import given
from hypothesis import strategies as st
from searches import SEARCH

from sweeps.config.search_space import parse_range
from sweeps.search.searchers.random_search import random_point


@given(seed=st.integers(0, 2**32), index=st.integers(0, 2**16))
def test_random_points_have_the_types_and_bounds_of_their_ranges(seed: int, index: int) -> None:
    point = random_point({path: parse_range(written) for path, written in SEARCH.items()}, seed, index)
    assert {path: type(value) for path, value in point.items()} == {
        "model.hidden_size": int,
        "model.weight_l1": float,
        "model.noise.level": float,
        "training.epochs": int,
        "model.activation": str,
    }
    assert 8 <= point["model.hidden_size"] <= 64
    assert 1e-5 <= point["model.weight_l1"] <= 1e-1


def test_random_points_are_spread_evenly_over_the_logarithm() -> None:
    search = {"a": parse_range({"loguniform": [1e-4, 1.0]}), "b": parse_range({"logint": [1, 4]})}
    points = [random_point(search, 0, index) for index in range(4000)]
    decades = [sum(10.0**low <= point["a"] < 10.0 ** (low + 1) for point in points) for low in range(-4, 0)]
    assert all(900 < count < 1100 for count in decades)  # 1,000 expected, standard deviation 27
    # Of b, k stands for what lies between k - 1/2 and k + 1/2: log(1.5 / 0.5) / log(4.5 / 0.5) = 1/2 of all are 1.
    assert 1850 < sum(point["b"] == 1 for point in points) < 2150
    assert {point["b"] for point in points} == {1, 2, 3, 4}
