"""The history of an alias is right wherever a move was interrupted."""

import itertools
import json
import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.errors import TrackingError, UnknownModel
from sweeps.registry.alias_history import Move, MoveKind, moves
from sweeps.registry.alias_lock import Lock
from sweeps.registry.alias_move import _replaced_by, move
from sweeps.registry.mlflow_registry import RegisteredModel
from sweeps.registry.promotion_log import Evidence
from sweeps.tracking.person import Person, Source

PROMOTED = Move("1", None, MoveKind.PROMOTION, "the first", "sweep", "0001", "run", "2026-01-01T00:00:00+00:00", "me")


def written(alias: str | None, *steps: Move, name: str = "champion", made: bool = False) -> RegisteredModel:
    """A model with the entries of these moves, marked as `made` or not, and the version that the alias points at."""
    mark = {"made": True} if made else {}
    entries = [json.dumps(step.to_dict() | mark) for step in steps]
    tags = {f"sweeps.history.{name}.{n:05d}": entry for n, entry in enumerate(entries, start=1)}
    return RegisteredModel("model", 0, tags, {} if alias is None else {name: alias})


def promotion(version: str, replaced: str | None) -> Move:
    return replace(PROMOTED, version=version, replaced=replaced)


def summary(model: RegisteredModel) -> list[tuple[str, str | None, str]]:
    return [(step.version, step.replaced, step.kind.name) for step in moves(model, "champion")]


def test_a_move_is_read_back_as_it_was_written() -> None:
    assert moves(written("1", PROMOTED), "champion") == [PROMOTED]


def test_a_recorded_move_that_was_not_made_is_not_in_the_history() -> None:
    assert summary(written(None, PROMOTED)) == []
    steps = [PROMOTED, promotion("2", "1")]
    assert summary(written("1", *steps)) == [("1", None, "PROMOTION")]
    assert summary(written("2", *steps)) == [("1", None, "PROMOTION"), ("2", "1", "PROMOTION")]


def test_a_move_made_in_mlflow_directly_is_in_the_history_as_outside() -> None:
    assert summary(written("7", PROMOTED, made=True)) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE")]
    after = written("8", PROMOTED, promotion("8", "7"), made=True)
    assert summary(after) == [("1", None, "PROMOTION"), ("7", "1", "OUTSIDE"), ("8", "7", "PROMOTION")]
    assert summary(written("3")) == [("3", None, "OUTSIDE")]


def test_a_move_that_was_made_stays_in_the_history_when_it_is_undone_in_mlflow_directly() -> None:
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


def test_an_interrupted_move_counts_if_the_next_one_replaced_its_version() -> None:
    tried, done = promotion("2", "1"), promotion("3", "1")
    assert summary(written("3", PROMOTED, tried, done)) == [("1", None, "PROMOTION"), ("3", "1", "PROMOTION")]
    after = promotion("3", "2")
    assert [version for version, _, _ in summary(written("3", PROMOTED, tried, after))] == ["1", "2", "3"]


class Registry:
    """A registry in memory, of one model; `fails` names the request that fails."""

    uri = "sqlite:///mlflow.db"

    def __init__(self, model: RegisteredModel, fails: str = "") -> None:
        self.tags, self.aliases, self.fails = dict(model.tags), dict(model.aliases), fails

    @property
    def model(self) -> RegisteredModel:
        return RegisteredModel("model", 0, dict(self.tags), dict(self.aliases))

    def set_tag(self, name: str, key: str, value: str) -> None:
        if self.fails == "mark" and "made" in json.loads(value):
            raise TrackingError("gone")
        assert key not in self.tags or json.loads(self.tags[key]).items() <= json.loads(value).items()
        self.tags[key] = value

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Versions are not kept."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        if self.fails == "alias":
            raise TrackingError("gone")
        self.aliases[alias] = version

    def promote(self, version: str, fails: str = "") -> None:
        self.fails = fails
        store: Any = self
        with suppress(TrackingError):
            move(store, HELD, self.model, "champion", promotion(version, self.aliases.get("champion")), EVIDENCE)


EVIDENCE = Evidence(Person("me", Source.CLAIMED))
HELD = Lock("lock", time.monotonic(), math.inf, 0)


@settings(deadline=None)  # each move is written to the log, and synced
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("promote"), st.sampled_from(["", "alias", "mark"])),
            st.tuples(st.just("by hand"), st.sampled_from(["1", "2", None])),
        ),
        max_size=8,
    )
)
def test_every_marked_promotion_is_in_the_history_in_order_and_no_failed_one_is(
    events: list[tuple[str, str | None]],
) -> None:
    registry, marked, tried = Registry(RegisteredModel("model", 0)), [], []
    for number, (what, how) in enumerate(events, start=3):
        if what == "promote":
            registry.promote(str(number), fails=how or "")
            (tried if how == "alias" else marked if how == "" else []).append(str(number))
        elif how is None:
            registry.aliases.pop("champion", None)
        else:
            registry.aliases["champion"] = how
    history = [step.version for step in moves(registry.model, "champion") if step.kind is MoveKind.PROMOTION]
    assert [version for version in history if version in marked] == marked
    assert not set(history) & set(tried)
    assert history == sorted(history, key=int)


def test_a_move_whose_mark_failed_is_in_the_history() -> None:
    registry = Registry(RegisteredModel("model", 0))
    registry.promote("1", fails="mark")
    assert summary(registry.model) == [("1", None, "PROMOTION")]
    registry.promote("2")
    assert summary(registry.model) == [("1", None, "PROMOTION"), ("2", "1", "PROMOTION")]


def test_each_alias_has_its_own_history() -> None:
    assert moves(written("1", PROMOTED, name="canary"), "champion") == []


def test_two_rollbacks_go_back_two_versions() -> None:
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
    history: Any = moves(written(current, *steps), "champion")
    assert history[-1].version == current
    assert history[0].replaced is None
    assert all(later.replaced == earlier.version for earlier, later in itertools.pairwise(history))


@pytest.mark.parametrize("kind", list(MoveKind))
def test_a_move_is_plain_json(kind: MoveKind) -> None:
    assert json.loads(json.dumps(replace(PROMOTED, kind=kind).to_dict()))["kind"] == str(kind)


@pytest.mark.parametrize("edit", [{"version": 3}, {"when": None}, {"who": ["eve"]}, {"trial": 1}, {"reason": {}}])
def test_a_move_with_a_value_that_is_no_text_was_edited(edit: dict[str, Any]) -> None:
    model = written("1", promotion("1", None))
    ((key, value),) = model.tags.items()
    edited = replace(model, tags={key: json.dumps(json.loads(value) | edit)})
    with pytest.raises(UnknownModel, match="must record a move, and does not: somebody has edited it"):
        moves(edited, "champion")
