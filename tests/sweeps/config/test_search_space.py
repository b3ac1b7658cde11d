import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.config.issues import Issue
from sweeps.config.search_space import (
    Choices,
    Interval,
    corner_points,
    corners,
    invalid_corners,
    parse_range,
    written,
)

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)


@given(st.tuples(finite, finite).filter(lambda ends: ends[0] < ends[1]))
def test_an_interval_keeps_its_ends_and_is_written_as_it_was_read(ends: tuple[float, float]) -> None:
    read = parse_range({"uniform": list(ends)})
    assert corners(read) == ends
    assert parse_range(written(read)) == read


def test_each_kind_of_range_is_read() -> None:
    assert parse_range({"choice": [[512, 128], [64]]}) == Choices("choice", ([512, 128], [64]))
    assert parse_range({"grid": [True, None, "relu"]}) == Choices("grid", (True, None, "relu"))
    assert parse_range({"uniform": [0, 1]}) == Interval("uniform", 0.0, 1.0)
    assert parse_range({"loguniform": [1e-5, 1]}) == Interval("loguniform", 1e-5, 1.0)
    assert parse_range({"int": [-3, 3]}) == Interval("int", -3, 3)
    assert parse_range({"logint": [1, 512]}) == Interval("logint", 1, 512)


@pytest.mark.parametrize(
    ("given_range", "what_must_hold"),
    [
        (5, "must be one range such as"),
        ([1, 2], "must be one range such as"),
        ({}, "must be one range such as"),
        ({"int": [1, 2], "choice": [3]}, "must be one range such as"),
        ({"unifrom": [0, 1]}, "Did you mean uniform?"),
        ({"choice": 3}, "must have a list after choice:"),
        ({"choice": []}, "at least one value"),
        ({"choice": [16, 32, 16]}, "each value once"),
        ({"uniform": [0]}, "must have two numbers"),
        ({"uniform": [0, "a"]}, "must have two numbers"),
        ({"uniform": [False, True]}, "must have two numbers"),
        ({"int": [0, 1.5]}, "must have two whole numbers"),
        ({"uniform": [1, 1]}, "from a lower to a higher finite number"),
        ({"uniform": [2, 1]}, "from a lower to a higher finite number"),
        ({"uniform": [0, math.inf]}, "from a lower to a higher finite number"),
        ({"uniform": [math.nan, 1]}, "from a lower to a higher finite number"),
        ({"loguniform": [0, 1]}, "must start above 0"),
        ({"logint": [0, 8]}, "must start above 0"),
        ({"int": [1, 10**30]}, "must stay within"),
    ],
)
def test_an_impossible_range_is_rejected_with_what_must_hold(given_range: object, what_must_hold: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_range(given_range)
    assert what_must_hold in str(refusal.value)


def test_one_and_true_are_different_choices() -> None:
    assert parse_range({"choice": [1, True]}) == Choices("choice", (1, True))


def test_corner_points_are_all_combinations_if_there_are_few() -> None:
    search = {"a": Interval("int", 1, 3), "b": Choices("choice", ("x", "y", "z"))}
    assert len(list(corner_points(search))) == 6


def test_corner_points_are_one_point_without_a_search_space() -> None:
    assert list(corner_points({})) == [{}]


def test_corner_points_of_many_ranges_contain_every_pair_of_corners() -> None:
    search = {f"p{index}": Interval("uniform", 0.0, 1.0) for index in range(12)}
    points = list(corner_points(search))
    assert len(points) < 2**12
    pairs = {(one, two, point[one], point[two]) for point in points for one in search for two in search if one < two}
    assert len(pairs) == 66 * 4


def test_corner_points_of_two_long_choices_contain_every_value() -> None:
    values = tuple(range(500))
    points = list(corner_points({"a": Choices("choice", values), "b": Choices("choice", values)}))
    assert {point["a"] for point in points} == {point["b"] for point in points} == set(values)
    assert len(points) < 5000


def test_an_invalid_corner_is_reported_with_the_values_that_cause_it_and_no_others() -> None:
    search = {"level": Interval("uniform", 0.0, 1.5), "size": Interval("int", 8, 64)}

    def check(point: dict[str, float]) -> list[Issue]:
        return [Issue("level", "must lie in [0, 1]")] if point["level"] > 1 else []

    (issue,) = invalid_corners(search, check)
    assert str(issue) == "search reaches level = 1.5: level must lie in [0, 1]; narrow the range"


def test_an_invalid_corner_of_two_ranges_together_is_reported_with_both() -> None:
    search = {
        "kind": Choices("choice", ("a", "b")),
        "level": Interval("uniform", 0.0, 2.0),
        "x": Choices("choice", (1, 2)),
    }

    def check(point: dict[str, object]) -> list[Issue]:
        return [Issue("level", "must fit the kind")] if (point["kind"], point["level"]) == ("a", 2.0) else []

    (issue,) = invalid_corners(search, check)
    assert 'kind = "a", level = 2.0:' in str(issue)


def test_a_range_with_the_same_issue_at_both_ends_is_reported_once() -> None:
    def check(point: dict[str, float]) -> list[Issue]:
        return [Issue("size", f"must be a whole number, not {point['size']}")]

    (issue,) = invalid_corners({"size": Interval("uniform", 8.0, 64.0)}, check)
    assert "search reaches size = 8.0 or 64.0: size must be a whole number, not 8.0" in str(issue)
