"""Each way to tamper with the log, or with MLflow, is found and named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_registry import MemoryRegistry

from sweeps.errors import InputError, TrackingError, UnknownModel
from sweeps.registry.alias_history import Move, MoveKind, moves
from sweeps.registry.audit import CheckOutcome
from sweeps.registry.promotion_log import LOG_TAG, open_log

KEY = "sweeps.history.champion."


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """A registry in which versions 1, 2 and 3 were promoted, with six entries in the log."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "network.safetensors").write_bytes(b"tensors")
    registry = MemoryRegistry(tmp_path / "files")
    for number in "123":
        registry.promote(number)
    assert registry.failures() == []
    return registry


def file(home: Path, number: int) -> Path:
    return home / "promotions" / f"{number:08d}.json"


def edit_entry(home: Path, number: int, old: str, new: str) -> None:
    text = file(home, number).read_text()
    assert old in text
    file(home, number).write_text(text.replace(old, new))


def swap(home: Path, one: int, other: int) -> None:
    first = file(home, one).read_bytes()
    file(home, one).write_bytes(file(home, other).read_bytes())
    file(home, other).write_bytes(first)


def cut_off(home: Path, number: int) -> None:
    for entry in range(number, 7):
        file(home, entry).unlink()


ATTACKS: dict[str, tuple[Callable[[MemoryRegistry, Path], object], str]] = {
    "an entry edited": (
        lambda _, home: edit_entry(home, 3, '"ann"', '"eve"'),
        "log: entry 3 is not the one that entry 4 was written after",
    ),
    "the last entry edited": (
        lambda _, home: edit_entry(home, 6, "true", "false"),
        f"version 3: entry 6, which its tag {LOG_TAG} names, has another SHA-256",
    ),
    "an entry deleted": (lambda _, home: file(home, 2).unlink(), "log: entry 2 is missing"),
    "the last entry deleted": (
        lambda _, home: cut_off(home, 6),
        f"version 3: entry 6, which its tag {LOG_TAG} names, is not in this log",
    ),
    "the tail deleted": (
        lambda _, home: cut_off(home, 5),
        f"{KEY}00003: the move to version 3 was in this log, and was deleted there",
    ),
    "the whole log deleted": (
        lambda _, home: cut_off(home, 1),
        f"{KEY}00001: the move to version 1 was in this log, and was deleted there",
    ),
    "the tail and the tag that names it deleted": (
        lambda registry, home: (cut_off(home, 5), registry.versions["3"].pop(LOG_TAG)),
        f"{KEY}00003: version 3 is not in the log, and later moves are",
    ),
    "entries swapped": (lambda _, home: swap(home, 3, 5), "log: the file of entry 3 holds entry 5"),
    "an entry emptied": (lambda _, home: file(home, 4).write_text(""), "log: entry 4 is no JSON object"),
    "an entry of other types": (
        lambda _, home: file(home, 3).write_text('{"entry": 3, "what": [], "of": [], "gates": 1, "who": []}'),
        "log: entry 3 is not the one that entry 4 was written after",
    ),
    "an entry of nonsense": (
        lambda _, home: file(home, 5).write_text(
            json.dumps(json.loads(file(home, 5).read_text()) | {"gates": [1, {}], "tags": 3, "who": [], "kind": 4})
        ),
        "log: entry 5 is not the one that entry 6 was written after",
    ),
    "the author of a move edited": (
        lambda registry, _: registry.edit_move(2, who="eve (MLflow account)"),
        f"{KEY}00002: the tag was edited in MLflow, or entry 3 was: who 'eve (MLflow account)', "
        "not 'ann (MLflow account)'",
    ),
    "the kind of a move edited": (
        lambda registry, _: registry.edit_move(2, kind="forced promotion"),
        f"{KEY}00002: the tag was edited in MLflow, or entry 3 was: kind 'forced promotion', not 'promotion'",
    ),
    "the version of a move edited": (
        lambda registry, _: registry.edit_move(3, version="1"),
        f"{KEY}00003: the tag was edited in MLflow, or entry 5 was: version '1', not '3'",
    ),
    "a move made no JSON": (
        lambda registry, _: registry.tags.update({f"{KEY}00002": "{"}),
        f"{KEY}00002: the tag was edited in MLflow: it is no move, as entry 3 is",
    ),
    "a move deleted": (
        lambda registry, _: registry.tags.pop(f"{KEY}00002"),
        f"entry 3: MLflow does not show this move to version 2: its tag {KEY}00002 was deleted",
    ),
    "a move invented": (
        lambda registry, _: registry.tags.update({f"{KEY}00004": registry.tags[f"{KEY}00002"]}),
        f"{KEY}00004: version 2 is not in the log, and later moves are",
    ),
    "nonsense for a move": (
        lambda registry, _: registry.tags.update({f"{KEY}00004": "[" * 100_000}),
        f"{KEY}00004: the tag is no move: it was edited in MLflow",
    ),
    "the alias moved": (
        lambda registry, _: registry.aliases.update(champion="2"),
        "champion: it points at version 2, not at version 3 of entry 5: it was moved in MLflow directly",
    ),
    "the alias deleted": (
        lambda registry, _: registry.aliases.clear(),
        "champion: it points at no version, not at version 3 of entry 5",
    ),
    "the gates edited": (
        lambda registry, _: registry.versions["2"].update({"sweeps.gates": "[]"}),
        "version 2: its tag sweeps.gates was edited in MLflow",
    ),
    "one gate edited": (
        lambda registry, _: registry.versions["2"].update({"sweeps.gate.dead_units": "passed: 99 %"}),
        "version 2: its tag sweeps.gate.dead_units was edited in MLflow: 'passed: 99 %', not 'passed: 0 %'",
    ),
    "a gate added": (
        lambda registry, _: registry.versions["2"].update({"sweeps.gate.luck": "passed: yes"}),
        "version 2: its tag sweeps.gate.luck was edited in MLflow: 'passed: yes', not None",
    ),
    "a tag of a version deleted": (
        lambda registry, _: registry.versions["1"].pop("sweeps.promoted_by"),
        "version 1: its tag sweeps.promoted_by was edited in MLflow: None, not 'ann (MLflow account)'",
    ),
    "the hash in a version deleted": (
        lambda registry, _: registry.versions["2"].pop(LOG_TAG),
        f"version 2: its tag {LOG_TAG} was deleted in MLflow",
    ),
    "the hash in a version edited": (
        lambda registry, _: registry.versions["2"].update({LOG_TAG: registry.versions["1"][LOG_TAG]}),
        f"version 2: its tag {LOG_TAG} was edited in MLflow: entry 2 is about another version",
    ),
    "the hash in a version made nonsense": (
        lambda registry, _: registry.versions["2"].update({LOG_TAG: "3"}),
        f"version 2: entry None, which its tag {LOG_TAG} names, is not in this log",
    ),
    "a file of the model edited": (
        lambda registry, _: (registry.files / "network.safetensors").write_bytes(b"Tensors"),
        "files: those of version 3 were changed: SHA-256 ",
    ),
    "a file added to the model": (
        lambda registry, _: (registry.files / "loader.py").write_text("import os"),
        "files: those of version 3 were changed: SHA-256 ",
    ),
    "a link added to the model": (
        lambda registry, _: (registry.files / "more").symlink_to("/etc"),
        "files: those of version 3 cannot be compared: a packaged model must consist of plain files",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_named(registry: MemoryRegistry, own_home: Path, attack: str) -> None:
    tamper, expected = ATTACKS[attack]
    tamper(registry, own_home)
    assert not registry.audit().is_verified
    failures = registry.failures()
    assert any(line.startswith(expected) for line in failures), failures


def test_a_move_made_in_mlflow_between_two_of_ours_is_named(registry: MemoryRegistry) -> None:
    registry.aliases["champion"] = "1"
    registry.promote("4")
    assert registry.failures() == [
        "champion: between entries 5 and 7 it was moved from version 3 to 1, in MLflow directly or by another "
        "SWEEPS_HOME"
    ]


def test_a_move_that_mlflow_has_as_made_and_the_log_as_not_made_is_named(registry: MemoryRegistry) -> None:
    registry.ends_at = 3  # the alias
    registry.try_to_promote("4")
    registry.promote("5")
    assert registry.failures() == []
    registry.edit_move(4, made=True)
    assert registry.failures() == [f"{KEY}00004: MLflow has the move to version 4 as made, entry 7 as not made"]


def earlier(registry: MemoryRegistry, number: int, version: str) -> None:
    """Add a move as releases without the log recorded it."""
    step = Move(version, None, MoveKind.PROMOTION, "better", "s", "0", "r", "2025", "ann@laptop")
    registry.tags[f"{KEY}{number:05d}"] = json.dumps(step.to_dict() | {"made": True})
    registry.versions[version] = {}


def test_moves_of_earlier_releases_are_noted_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    registry = MemoryRegistry(tmp_path / "files")
    earlier(registry, 1, "1")
    registry.aliases["champion"] = "1"
    alone = registry.audit()
    assert alone.is_verified
    assert [(check.name, check.outcome, check.sentence) for check in alone.checks] == [
        ("log", CheckOutcome.NOTE, "it has no entries"),
        (f"{KEY}00001", CheckOutcome.NOTE, "version 1 is not in the log: made before it existed"),
        ("champion", CheckOutcome.NOTE, "it points at version 1; the log has no move of it"),
        ("files", CheckOutcome.NOTE, "the log has no digest of the files of version 1"),
    ]
    registry.promote("2")
    assert registry.failures() == []
    assert f"{KEY}00001" in [check.name for check in registry.audit().checks if check.outcome is CheckOutcome.NOTE]
    earlier(registry, 3, "3")
    assert registry.failures() == [f"{KEY}00003: version 3 is not in the log, and later moves are"]


def register_again(registry: MemoryRegistry, champion: str = "2") -> None:
    """Delete the model and register it anew with versions of somebody else, as an account in MLflow can."""
    registry.created_ms += 1
    registry.tags.clear()
    registry.versions = {"1": {}, "2": {}}
    registry.aliases = {"champion": champion}


def test_a_model_that_was_deleted_and_registered_again_is_named(registry: MemoryRegistry) -> None:
    register_again(registry)
    assert registry.failures() == [
        "champion: the model was deleted or renamed in MLflow after entry 5, in which it points at version 3, and was "
        "registered again"
    ]


def test_a_model_registered_again_between_two_of_our_moves_is_named(registry: MemoryRegistry) -> None:
    register_again(registry)
    registry.promote("3")
    assert registry.failures() == [
        "champion: between entries 5 and 7 the model was deleted or renamed in MLflow and registered again, and it was "
        "moved to version 2, in MLflow directly or by another SWEEPS_HOME"
    ]


def test_a_model_that_we_promoted_first_after_it_was_registered_again_is_verified(registry: MemoryRegistry) -> None:
    registry.created_ms += 1
    registry.tags.clear()
    registry.versions.clear()
    registry.aliases.clear()
    registry.promote("1")
    assert registry.failures() == []
    assert any("of an earlier model of this name" in check.sentence for check in registry.audit().checks)


def test_an_alias_or_a_store_of_which_the_log_has_no_move_is_not_taken_for_another(registry: MemoryRegistry) -> None:
    register_again(registry)
    registry.aliases["best"] = "2"
    assert registry.failures("best") == []
    registry.uri = "sqlite:////elsewhere/mlflow.db"
    assert registry.failures() == []


def test_a_deleted_version_is_noted(registry: MemoryRegistry) -> None:
    del registry.versions["1"]
    assert registry.failures() == []
    assert any("it was deleted in MLflow" in check.sentence for check in registry.audit().checks)


def test_the_log_of_another_home_is_named(
    registry: MemoryRegistry, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "other"))
    registry.promote("4")
    assert registry.failures()[0].startswith(f"{KEY}00001: the move to version 1 is not in this log, but in ")
    assert f"{own_home}/promotions" in registry.failures()[0]
    monkeypatch.setenv("SWEEPS_HOME", str(own_home))
    assert any(f"{tmp_path}/other/promotions" in failure for failure in registry.failures())


def test_a_log_that_was_moved_to_another_folder_is_verified(
    registry: MemoryRegistry, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_home.rename(tmp_path / "moved")
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "moved"))
    assert registry.failures() == []


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 6), st.integers(0, 5000), st.integers(0, 255))
def test_any_change_of_a_byte_of_any_entry_fails_the_audit(
    registry: MemoryRegistry, number: int, position: int, value: int
) -> None:
    path = open_log().folder / f"{number:08d}.json"
    content = path.read_bytes()
    changed = bytearray(content)
    changed[position % len(content)] = value
    assert isinstance(path, Path)
    path.write_bytes(changed)
    try:
        assert registry.audit().is_verified == (bytes(changed) == content)
    finally:
        path.write_bytes(content)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, 6), min_size=1))
def test_any_deletion_of_entries_fails_the_audit(registry: MemoryRegistry, deleted: set[int]) -> None:
    folder = open_log().folder
    contents = {number: (folder / f"{number:08d}.json").read_bytes() for number in deleted}
    for number in deleted:
        (folder / f"{number:08d}.json").unlink()
    try:
        assert not registry.audit().is_verified
    finally:
        for number, content in contents.items():
            (folder / f"{number:08d}.json").write_bytes(content)


def test_files_that_mlflow_does_not_return_are_not_called_changed(registry: MemoryRegistry) -> None:
    registry.download_error = TrackingError("the MLflow request failed: it does not answer")
    with pytest.raises(TrackingError, match="does not answer"):
        registry.audit()
    registry.download_error = InputError("the files of a model must be in a folder of the store")
    assert registry.failures() == [
        "files: those of version 3 cannot be compared: the files of a model must be in a folder of the store"
    ]


def test_a_history_with_an_edited_tag_is_an_error_that_names_the_tag(registry: MemoryRegistry) -> None:
    registry.tags[f"{KEY}00002"] = '{"version": 1}'
    with pytest.raises(UnknownModel, match=rf"tag {KEY}00002 of digits must record a move"):
        moves(registry.find("digits"), "champion")  # type: ignore[arg-type]
