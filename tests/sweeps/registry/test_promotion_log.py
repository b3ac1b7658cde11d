"""The log of promotions has each move that was made and no other, wherever a move was interrupted."""

import platform
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_registry import ANN, GATES, Killed, MemoryRegistry

from sweeps.errors import StorageError, TrackingError
from sweeps.registry import alias_move
from sweeps.registry.audit import CheckOutcome
from sweeps.registry.logged_moves import logged_moves
from sweeps.registry.package_digest import package_digest
from sweeps.registry.promotion_log import LOG_TAG, open_log, recorded_package_digest
from sweeps.storage.chained_log import ChainedLog

# What a move does, in order: entry, tag of the version, tag of the move, alias, outcome, and both tags again.
N_STEPS = 7
ALIAS_STEP = 4


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return registry_in(tmp_path)


def registry_in(folder: Path) -> MemoryRegistry:
    (folder / "files").mkdir()
    (folder / "files" / "network.safetensors").write_bytes(b"tensors")
    return MemoryRegistry(folder / "files")


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the writes of the log among the requests of the registry that is in use."""
    append = ChainedLog.append

    def append_or_end(log: ChainedLog, facts: Any) -> Any:
        registry = CURRENT[-1] if CURRENT else None
        return append(log, facts) if registry is None else registry.request(lambda: append(log, facts))

    CURRENT.clear()
    monkeypatch.setattr(ChainedLog, "append", append_or_end)


CURRENT: list[MemoryRegistry] = []


def made(registry: MemoryRegistry) -> list[str]:
    """The versions to which the alias moved, by the log."""
    model: Any = registry.find("digits")
    return [move.version for move in logged_moves(open_log().entries(), model, "champion") if move.made]


def test_a_promotion_is_an_entry_before_the_move_and_one_after_it(registry: MemoryRegistry) -> None:
    registry.promote("1")
    move, outcome = open_log().entries()
    facts = move.facts
    assert (facts["what"], facts["store"], facts["model"], facts["alias"]) == (
        "move",
        registry.uri,
        "digits",
        "champion",
    )
    assert (facts["version"], facts["replaced"], facts["kind"], facts["reason"]) == ("1", None, "promotion", "better")
    assert (facts["sweep"], facts["trial"], facts["run_id"]) == ("s", "0001", "r")
    assert (facts["commit"], facts["network"]) == ("c0ffee1", "ab")
    assert facts["who"] == {"name": "ann", "source": "MLflow account", "through": None}
    assert facts["gates"] == GATES
    assert facts["package_sha256"] == package_digest(registry.files)
    assert (outcome.facts["what"], outcome.facts["of"], outcome.facts["made"]) == ("outcome", 1, True)
    assert outcome.facts["previous"] == move.sha256
    assert f'"sha256": "{outcome.sha256}"' in registry.versions["1"][LOG_TAG]


def test_no_credentials_of_the_store_reach_the_log(registry: MemoryRegistry) -> None:
    registry.uri = "http://me:planted@host/"
    registry.promote("1")
    assert all(b"planted" not in entry.content for entry in open_log().entries())


@pytest.mark.parametrize("reaches", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Killed, TrackingError])
@pytest.mark.parametrize("step", range(1, N_STEPS + 1))
def test_an_interruption_at_any_step_loses_no_move_and_shows_none_that_was_not_made(
    registry: MemoryRegistry, step: int, error: type[BaseException], reaches: bool
) -> None:
    registry.promote("1")
    CURRENT.append(registry)
    registry.ends_at, registry.reaches, registry.error = step, reaches, error
    registry.try_to_promote("2")
    happened = step > ALIAS_STEP or (step == ALIAS_STEP and reaches)
    assert registry.aliases["champion"] == ("2" if happened else "1")
    expected = ["1", "2"] if happened else ["1"]
    assert made(registry) == expected
    assert registry.failures() == []
    registry.promote("3")
    assert made(registry) == [*expected, "3"]
    assert registry.failures() == []
    # The next move has recorded the outcome: nothing is left to be judged by the alias.
    assert all(move.is_settled for move in logged_moves(open_log().entries(), registry.find("digits"), "champion"))  # type: ignore[arg-type]


def test_a_move_has_as_many_steps_as_are_tested(registry: MemoryRegistry) -> None:
    CURRENT.append(registry)
    registry.promote("1")
    assert registry.n_requests == N_STEPS


def test_nothing_moves_if_the_log_cannot_be_written(registry: MemoryRegistry, own_home: Path) -> None:
    (own_home / "promotions").touch()
    with pytest.raises(StorageError, match="must be able to write the log"):
        registry.promote("1")
    assert (registry.aliases, registry.tags) == ({}, {})


def test_a_failure_after_the_move_is_logged(registry: MemoryRegistry, caplog: pytest.LogCaptureFixture) -> None:
    CURRENT.append(registry)
    registry.ends_at, registry.error = ALIAS_STEP + 1, TrackingError
    registry.promote("1")  # the move stands
    assert "the next move completes its record: gone" in caplog.text


EVENTS = st.lists(
    st.one_of(
        st.just(("promote", 0, False)),
        st.tuples(st.just("ends"), st.integers(1, N_STEPS), st.booleans()),
        st.tuples(st.just("by hand"), st.integers(1, 3), st.booleans()),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_whatever_happens_a_move_is_in_the_log_if_and_only_if_it_was_made(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, events: list[tuple[str, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    monkeypatch.setenv("SWEEPS_HOME", str(folder))
    registry = registry_in(folder)
    registry.promote("1")
    CURRENT[:] = [registry]
    true, by_hand = ["1"], False
    for number, (what, step, reaches) in enumerate(events, start=2):
        if what == "by hand":
            target = str(min(step, number - 1))
            by_hand |= registry.aliases["champion"] != target
            registry.aliases["champion"] = target
            continue
        registry.ends_at, registry.reaches = step or None, reaches
        registry.try_to_promote(str(number))
        if registry.aliases["champion"] == str(number):
            true.append(str(number))
        if by_hand and what == "ends":
            break  # who moved the alias after an interruption cannot be known
        if what == "ends":
            registry.promote(f"{number}00")
            true.append(f"{number}00")
    assert made(registry) == true
    assert registry.audit().is_verified or by_hand


def test_an_unfinished_move_of_another_alias_is_left_alone(registry: MemoryRegistry) -> None:
    CURRENT.append(registry)
    registry.ends_at = ALIAS_STEP
    registry.try_to_promote("1")
    registry.promote("2", alias="canary")
    assert [entry.facts["what"] for entry in open_log().entries()] == ["move", "move", "outcome"]


def test_a_deleted_and_registered_model_of_the_same_name_has_its_own_moves(registry: MemoryRegistry) -> None:
    registry.promote("1")
    registry.created_ms, registry.tags, registry.aliases = 8, {}, {}
    registry.promote("1")
    assert made(registry) == ["1"]
    assert registry.failures() == []


def test_the_digest_of_a_version_is_that_of_its_newest_entry(registry: MemoryRegistry) -> None:
    assert recorded_package_digest(registry.uri, "digits", "1") is None
    registry.promote("1")
    first = package_digest(registry.files)
    (registry.files / "network.safetensors").write_bytes(b"other")
    registry.promote("2")
    registry.promote("1")
    assert recorded_package_digest(registry.uri, "digits", "2") == package_digest(registry.files) != first
    assert recorded_package_digest(registry.uri, "digits", "1") == package_digest(registry.files)
    assert recorded_package_digest("sqlite:///me:planted@other.db", "digits", "1") is None
    assert recorded_package_digest(registry.uri, "other", "1") is None
    assert recorded_package_digest(registry.uri, "digits", "3") is None


def test_a_rollback_records_what_the_log_has_of_the_version_not_what_its_files_are_now(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Held:
        def __enter__(self) -> Any:
            from memory_registry import HELD

            return HELD

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(alias_move, "locked", lambda *_: Held())
    registry.promote("1")
    registry.promote("2")
    promoted = package_digest(registry.files)
    (registry.files / "network.safetensors").write_bytes(b"changed")
    store: Any = registry
    alias_move.rollback(store, "digits", "champion")
    *_, move, _ = open_log().entries()
    assert (move.facts["kind"], move.facts["version"], move.facts["package_sha256"]) == ("rollback", "1", promoted)
    assert move.facts["gates"] == GATES
    assert move.facts["who"]["source"] == "claimed"
    (failure,) = registry.failures()
    assert failure.startswith("files: those of version 1 were changed: SHA-256 ")


def test_the_log_is_named_by_its_host_and_folder(registry: MemoryRegistry, own_home: Path) -> None:
    registry.promote("1")
    assert registry.audit().location == f"{platform.node()}:{own_home}/promotions"
    assert (own_home / "promotions").stat().st_mode & 0o777 == 0o700
    assert {check.outcome for check in registry.audit().checks} == {CheckOutcome.PASSED}
    assert str(ANN) in " ".join(check.sentence for check in registry.audit().checks)
