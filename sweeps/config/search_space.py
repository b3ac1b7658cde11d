"""The search space: ranges over settings of a trial config, and the points at its corners."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from sweeps.config.issues import Issue, closest, did_you_mean, shown

Point: TypeAlias = dict[str, Any]

INTERVALS = ("uniform", "loguniform", "int", "logint")
CHOICES = ("choice", "grid")
EXAMPLE = "{loguniform: [1e-5, 1e-2]} or {choice: [16, 32]}"

# Floating-point numbers represent every integer up to here.
LARGEST = 2.0**53
# Above this number of combinations, corners are combined for two ranges at a time.
MAX_COMBINATIONS = 1024
# Above this number of points, each range takes its corners by itself.
MAX_POINTS = 16_384
MAX_RANGES = 100
MAX_CHOICES = 10_000


@dataclass(frozen=True)
class Interval:
    """All values from `low` to `high`, both included; `int` and `logint` contain integers only."""

    kind: Literal["uniform", "loguniform", "int", "logint"]
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        return self.kind in ("int", "logint")

    @property
    def is_log(self) -> bool:
        return self.kind in ("loguniform", "logint")


@dataclass(frozen=True)
class Choices:
    """One of several values of any type: drawn at random (`choice`) or taken in turn (`grid`)."""

    kind: Literal["choice", "grid"]
    values: tuple[Any, ...]


SearchSpace: TypeAlias = Mapping[str, Interval | Choices]


def parse_range(written: object) -> Interval | Choices:
    """Return the range that `{kind: [...]}` describes; ValueError says what must hold."""
    if isinstance(written, (Interval, Choices)):
        return written
    if not isinstance(written, Mapping) or len(written) != 1:
        raise ValueError(f"must be one range such as {EXAMPLE}, not {shown(written)}")
    ((kind, values),) = written.items()
    if kind not in INTERVALS + CHOICES:
        kinds = INTERVALS + CHOICES
        hint = did_you_mean(closest(str(kind), kinds))
        raise ValueError(f"must be one of the ranges {', '.join(kinds)}, not {shown(kind)}.{hint}")
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"must have a list after {kind}:, not {shown(values)}")
    return _interval(kind, values) if kind in INTERVALS else _choices(kind, values)


def written(values: Interval | Choices) -> dict[str, list[Any]]:
    """Return a range as a sweep file writes it."""
    bounds = [values.low, values.high] if isinstance(values, Interval) else list(values.values)
    return {values.kind: bounds}


def _range_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of one kind of range, for editors."""
    items: dict[str, Any] = {"type": "array", "minItems": 1}
    if kind in INTERVALS:
        number = {"type": "integer" if "int" in kind else "number"}
        items = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    return {"type": "object", "properties": {kind: items}, "required": [kind], "additionalProperties": False}


Range = Annotated[
    Interval | Choices,
    PlainValidator(parse_range),
    PlainSerializer(written),
    WithJsonSchema({"oneOf": [_range_schema(kind) for kind in INTERVALS + CHOICES]}),
]


def corners(values: Interval | Choices) -> tuple[Any, ...]:
    """Return the values that bound a range: both ends, or every choice."""
    return (values.low, values.high) if isinstance(values, Interval) else values.values


def contains(values: Interval | Choices, value: Any) -> bool:
    """Return whether a range has a value; numbers of an interval are neither text nor bool."""
    if isinstance(values, Choices):
        return any(type(value) is type(choice) and value == choice for choice in values.values)
    is_number = isinstance(value, int) or (isinstance(value, float) and not values.is_whole)
    return is_number and not isinstance(value, bool) and values.low <= value <= values.high


def corner_points(search: SearchSpace) -> Iterator[Point]:
    """Yield points with every corner of every range: all combinations, or all pairs if there are too many.

    If there are too many pairs, too, each corner is combined with the first and the last corners of the other ranges.
    """
    bounds = {path: corners(values) for path, values in search.items()}
    if math.prod(len(ends) for ends in bounds.values()) <= MAX_COMBINATIONS:
        for combination in itertools.product(*bounds.values()):
            yield dict(zip(bounds, combination, strict=True))
        return
    pairs = [
        (one, other)
        for one, other in itertools.combinations(bounds, 2)
        if len(bounds[one]) * len(bounds[other]) <= MAX_COMBINATIONS
    ]
    if 2 * sum(len(bounds[one]) * len(bounds[other]) for one, other in pairs) > MAX_POINTS:
        pairs = []
    paired = {path for pair in pairs for path in pair}
    for side in (0, -1):
        start = {path: ends[side] for path, ends in bounds.items()}
        yield from (start | {path: value} for path in bounds if path not in paired for value in bounds[path])
        for one, other in pairs:
            for first, second in itertools.product(bounds[one], bounds[other]):
                yield start | {one: first, other: second}


def invalid_corners(search: SearchSpace, check: Callable[[Point], Iterable[Issue]]) -> list[Issue]:
    """Return the issues that `check` finds at the corners, each once, with the values that cause it."""
    points_by_issue: dict[Issue, list[Point]] = {}
    for point in corner_points(search):
        for issue in check(point):
            points_by_issue.setdefault(issue, []).append(point)
    # Both ends of a range may have the same issue: report it in one line.
    alike: dict[tuple[str, str, tuple[str, ...]], list[tuple[Issue, Point]]] = {}
    for issue, points in points_by_issue.items():
        # A setting that varies among the points with this issue does not cause it.
        cause = {path: value for path, value in points[0].items() if all(other[path] == value for other in points)}
        alike.setdefault((issue.path, issue.text.partition(", not ")[0], tuple(cause)), []).append((issue, cause))
    return [_reached(issues[0][0], [cause for _, cause in issues]) for issues in alike.values()]


def _reached(issue: Issue, causes: Sequence[Point]) -> Issue:
    """An issue of some points of the search space, with the values that cause it."""
    values = {path: dict.fromkeys(shown(cause[path]) for cause in causes) for path in causes[0]}
    where = ", ".join(f"{path} = {' or '.join(shown_values)}" for path, shown_values in values.items())
    return Issue("", f"search reaches {where}: {issue}; narrow the range", tuple(values))


def _interval(kind: Any, values: Sequence[Any]) -> Interval:
    whole, log = kind in ("int", "logint"), kind in ("loguniform", "logint")
    number = "whole numbers" if whole else "numbers"
    accepted = int if whole else (int, float)
    if len(values) != 2 or not all(isinstance(value, accepted) and not isinstance(value, bool) for value in values):
        raise ValueError(f"must have two {number} after {kind}:, the lowest and the highest, not {shown(values)}")
    if not (all(-math.inf < value < math.inf for value in values) and values[0] < values[1]):
        raise ValueError(f"must go from a lower to a higher finite number, not {shown(values)}")
    if max(map(abs, values)) > LARGEST:
        raise ValueError(f"must stay within {LARGEST:g}, not {shown(values)}")
    low, high = values if whole else (float(values[0]), float(values[1]))
    if log and low <= 0:
        raise ValueError(f"must start above 0 because {kind} takes the logarithm, not {shown(values)}")
    return Interval(kind, low, high)


def _choices(kind: Any, values: Sequence[Any]) -> Choices:
    if not values:
        raise ValueError(f"must have at least one value after {kind}:, not []")
    if len(values) > MAX_CHOICES:
        raise ValueError(f"must have at most {MAX_CHOICES:,} values after {kind}:, not {len(values):,}")
    distinct = {(type(value), repr(value)) for value in values}
    if len(distinct) < len(values):
        raise ValueError(f"must have each value once after {kind}:, not {shown(values)}")
    return Choices(kind, tuple(values))
