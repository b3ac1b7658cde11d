"""The list of who held an alias is right wherever writing and moving were cut apart."""

import itertools
import json
import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import TrackingError
from sweeps.registry.alias_history import Move, MoveKind, _replaced_by, move, moves
from sweeps.registry.alias_lock import Lock
from sweeps.registry.mlflow_registry import Entry

PROMOTED = Move("1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", "2026-01-01T00:00:00+00:00", "me")


def written(alias: str | None, *steps: Move, name: str = "champion", made: bool = False) -> Entry:
    """A model with the entries of these moves, marked as `made` or cut off before that, and where the alias points."""
    mark = {"made": True} if made else {}
    entries = [json.dumps(step.to_dict() | mark) for step in steps]
    tags = {f"sweeps.history.{name}.{n:05d}": entry for n, entry in enumerate(entries, start=1)}
    return Entry("model", 0, tags, {} if alias is None else {name: alias})


def promotion(version: str, replaced: str | None) -> Move:
    return replace(PROMOTED, version=version, replaced=replaced)


def summary(model: Entry) -> list[tuple[str, str | None, str]]:
    return [(step.version, step.replaced, step.kind.name) for step in moves(model, "champion")]


def test_a_move_is_read_back_as_it_was_written() -> None:
    assert moves(written("1", PROMOTED), "champion") == [PROMOTED]


def test_a_move_that_was_written_and_not_made_is_no_part_of_the_history() -> None:
    assert summary(written(None, PROMOTED)) == []
    steps = [PROMOTED, promotion("2", "1")]
    assert summary(written("1", *steps)) == [("1", None, "PROMOTION")]
    assert summary(written("2", *steps)) == [("1", None, "PROMOTION"), ("2", "1", "PROMOTION")]


def test_what_somebody_did_in_mlflow_itself_shows_as_that() -> None:
    assert summary(written("7", PROMOTED, made=True)) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE")]
    after = written("8", PROMOTED, promotion("8", "7"), made=True)
    assert summary(after) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE"), ("8", "7", "PROMOTION")]
    assert summary(written("3")) == [("3", None, "OUTSIDE")]


def test_a_move_that_was_made_stays_in_the_history_whatever_is_undone_in_mlflow_itself() -> None:
    both = [PROMOTED, promotion("2", "1")]
    promotions = [("1", None, "PROMOTION"), ("2", "1", "PROMOTION")]
    assert summary(written("1", *both, made=True)) == [*promotions, ("1", "2", "OUTSIDE")]
    assert summary(written(None, *both, made=True)) == promotions
    assert summary(written(None, PROMOTED, made=True)) == promotions[:1]
    back = Move("1", "2", MoveKind.ROLLBACK, "back")
    assert summary(written("2", *both, back, made=True)) == [
        *promotions,
        ("1", "2", "ROLLBACK"),
        ("2", "1", "OUTSIDE"),
    ]


def test_a_move_that_was_cut_off_is_told_by_where_the_alias_pointed_at_the_next_one() -> None:
    tried, done = promotion("2", "1"), promotion("3", "1")
    assert summary(written("3", PROMOTED, tried, done)) == [("1", None, "PROMOTION"), ("3", "1", "PROMOTION")]
    after = promotion("3", "2")
    assert [version for version, _, _ in summary(written("3", PROMOTED, tried, after))] == ["1", "2", "3"]


class Registry:
    """A registry in memory, of one model; `fails` names the request that it does not take."""

    def __init__(self, model: Entry, fails: str = "") -> None:
        self.tags, self.aliases, self.fails = dict(model.tags), dict(model.aliases), fails

    @property
    def model(self) -> Entry:
        return Entry("model", 0, dict(self.tags), dict(self.aliases))

    def set_tag(self, name: str, key: str, value: str) -> None:
        if self.fails == "mark" and "made" in json.loads(value):
            raise TrackingError("gone")
        assert key not in self.tags or json.loads(self.tags[key]).items() <= json.loads(value).items()
        self.tags[key] = value

    def set_alias(self, name: str, alias: str, version: str) -> None:
        if self.fails == "alias":
            raise TrackingError("gone")
        self.aliases[alias] = version

    def promote(self, version: str, fails: str = "") -> None:
        self.fails = fails
        store: Any = self
        with suppress(TrackingError):
            move(store, HELD, self.model, "champion", promotion(version, self.aliases.get("champion")))


HELD = Lock("lock", time.monotonic(), math.inf, 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("promote"), st.sampled_from(["", "alias", "mark"])),
            st.tuples(st.just("by hand"), st.sampled_from(["1", "2", None])),
        ),
        max_size=8,
    )
)
def test_every_promotion_that_was_made_and_marked_is_told_in_order_and_none_that_was_not(
    events: list[tuple[str, str | None]],
) -> None:
    registry, marked, tried = Registry(Entry("model", 0)), [], []
    for number, (what, how) in enumerate(events, start=3):
        if what == "promote":
            registry.promote(str(number), fails=how or "")
            (tried if how == "alias" else marked if how == "" else []).append(str(number))
        elif how is None:
            registry.aliases.pop("champion", None)
        else:
            registry.aliases["champion"] = how
    told = [step.version for step in moves(registry.model, "champion") if step.kind is MoveKind.PROMOTION]
    assert [version for version in told if version in marked] == marked
    assert not set(told) & set(tried)
    assert told == sorted(told, key=int)


def test_an_alias_that_moved_has_moved_though_nobody_could_mark_it() -> None:
    registry = Registry(Entry("model", 0))
    registry.promote("1", fails="mark")
    assert summary(registry.model) == [("1", None, "PROMOTION")]
    registry.promote("2")
    assert summary(registry.model) == [("1", None, "PROMOTION"), ("2", "1", "PROMOTION")]


def test_aliases_have_histories_of_their_own() -> None:
    assert moves(written("1", PROMOTED, name="canary"), "champion") == []


def test_going_back_twice_goes_back_two_versions() -> None:
    past = [promotion("1", None), promotion("2", "1"), promotion("3", "2")]
    assert _replaced_by(past, "3") == "2"
    past.append(Move("2", "3", MoveKind.ROLLBACK, "back"))
    assert _replaced_by(past, "2") == "1"
    assert _replaced_by(past, "1") is None


@given(st.lists(st.sampled_from(["1", "2", "3", "4"]), min_size=1, max_size=6), st.sampled_from(["1", "2", "3", "4"]))
def test_a_history_is_a_chain_that_ends_where_the_alias_points(versions: list[str], current: str) -> None:
    steps: list[Move] = []
    for version in versions:
        if not steps or steps[-1].version != version:
            steps.append(promotion(version, steps[-1].version if steps else None))
    told: Any = moves(written(current, *steps), "champion")
    assert told[-1].version == current
    assert told[0].replaced is None
    assert all(later.replaced == earlier.version for earlier, later in itertools.pairwise(told))


@pytest.mark.parametrize("kind", list(MoveKind))
def test_a_move_is_plain_json(kind: MoveKind) -> None:
    assert json.loads(json.dumps(replace(PROMOTED, kind=kind).to_dict()))["kind"] == str(kind)
