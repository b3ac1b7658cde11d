"""A history shows each move beside its entry in the log, and names the other logs that have the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from memory_registry import MemoryRegistry

from sweeps.registry.alias_history import MoveKind
from sweeps.registry.audited_history import AuditedHistory, audited_history
from sweeps.registry.promotion_log import LOG_TAG


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """A registry in which version 1 was promoted, with two entries in the log."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "network.safetensors").write_bytes(b"tensors")
    registry = MemoryRegistry(tmp_path / "files")
    registry.promote("1")
    return registry


def history(registry: MemoryRegistry) -> AuditedHistory:
    store: Any = registry
    return audited_history(store, "digits", "champion")


def versions_and_entries(shown: AuditedHistory) -> list[tuple[str, int | None]]:
    return [(step.version, None if logged is None else logged.entry.number) for step, logged in shown.moves]


def test_each_move_has_its_entry_and_one_made_in_mlflow_has_none(registry: MemoryRegistry) -> None:
    registry.promote("2")
    registry.aliases["champion"] = "1"
    shown = history(registry)
    assert versions_and_entries(shown) == [("1", 1), ("2", 3), ("1", None)]
    assert (shown.holder, shown.n_entries, shown.other_logs) == ("1", 4, ())
    plain = shown.to_dict()
    assert [(move["version"], move["log"] and move["log"]["entry"]) for move in plain["moves"]] == [
        ("1", None),
        ("2", 3),
        ("1", 1),
    ]
    assert plain["log"] == {"location": shown.location, "entries": 4, "others": []}


def test_the_log_of_another_home_is_named_once(
    registry: MemoryRegistry, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "other"))
    registry.promote("2")
    registry.promote("3")
    monkeypatch.setenv("SWEEPS_HOME", str(own_home))
    shown = history(registry)
    assert versions_and_entries(shown) == [("1", 1), ("2", None), ("3", None)]
    (other,) = shown.other_logs
    assert other.endswith(f":{tmp_path}/other/promotions")
    assert shown.location.endswith(f":{own_home}/promotions")


def test_a_move_that_the_log_has_is_in_no_other_log_whatever_mlflow_says(registry: MemoryRegistry) -> None:
    registry.versions["1"][LOG_TAG] = json.dumps({"entry": 1, "sha256": "0" * 64, "log": "elsewhere:/promotions"})
    assert history(registry).other_logs == ()


def test_a_version_that_was_deleted_in_mlflow_names_no_log(registry: MemoryRegistry, own_home: Path) -> None:
    for entry in (own_home / "promotions").glob("*.json"):
        entry.unlink()
    del registry.versions["1"]
    shown = history(registry)
    assert (versions_and_entries(shown), shown.other_logs) == ([("1", None)], ())


def test_each_move_is_shown_as_when_and_by_whom_before_the_reason_without_bytes_of_the_log(
    registry: MemoryRegistry,
) -> None:
    registry.promote("2")
    registry.aliases["champion"] = "1"
    shown = history(registry)
    by_person, outside = shown.moves[1][0], shown.moves[2][0]
    step = replace(by_person, when="2026-11-30T12:00:00+00:00", who="ada", reason="because")
    assert str(step) == "2026-11-30T12:00:00+00:00 by ada: promotion of version 2, which replaced 1: because"
    back = replace(step, version="1", replaced="2", kind=MoveKind.ROLLBACK)
    assert repr(back) == "Move 2026-11-30T12:00:00+00:00 by ada: rollback to version 1, from 2: because"
    assert str(outside).startswith("moved outside sweeps to version 1, from 2: the alias was set")
    assert repr(shown).splitlines()[1] == f"  {outside}"
    assert "b'" not in repr(shown.moves)
    assert "content" not in repr(shown.moves)
