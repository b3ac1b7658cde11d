"""The list of who held an alias is right wherever writing and moving were cut apart."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.registry.history import Move, MoveKind, _replaced_by, moves
from sweeps.registry.store import Entry

PROMOTED = Move("1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", "2026-01-01T00:00:00+00:00", "me")


def written(alias: str | None, *steps: Move, name: str = "champion") -> Entry:
    tags = {f"sweeps.history.{name}.{n:05d}": json.dumps(step.to_dict()) for n, step in enumerate(steps, start=1)}
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
    assert summary(written("7", PROMOTED)) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE")]
    after = written("8", PROMOTED, promotion("8", "7"))
    assert summary(after) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE"), ("8", "7", "PROMOTION")]
    assert summary(written("3")) == [("3", None, "OUTSIDE")]


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
