"""The lock on an alias, on a real MLflow server: it has one owner at a time, and it expires."""

import threading
import time
from typing import Any

import pytest

from sweeps.errors import PromotionConflict, TrackingError
from sweeps.registry.alias_lock import Lock, locked
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.tracking.mlflow.connection import longest_request_seconds

pytestmark = pytest.mark.slow


@pytest.fixture
def store(server: Any) -> RegistryStore:
    return RegistryStore(server.uri)


def names(store: RegistryStore, model: str) -> list[str]:
    return [entry.name for entry in store.find_all(f"{model}.champion.lock-")]


def leave_behind(store: RegistryStore, model: str, seconds: float, number: int = 1) -> str:
    """A lock that a failed process has left."""
    name = f"{model}.champion.lock-{number}"
    tags = {
        "sweeps.lock.holder": "me@there, process 1",
        "sweeps.lock.token": "lost",
        "sweeps.lock.seconds": f"{seconds}",
    }
    assert store.create(name, tags, "") is not None
    return name


def test_a_second_process_gets_the_owners_name_and_the_lock_once_it_is_released(store: RegistryStore) -> None:
    with locked(store, "turns", "champion"):
        with pytest.raises(PromotionConflict, match=r"process \d+"), locked(store, "turns", "champion"):
            pytest.fail("held twice")
        assert names(store, "turns") == ["turns.champion.lock-1"]
    assert names(store, "turns") == []
    with locked(store, "turns", "champion"):
        assert names(store, "turns") == ["turns.champion.lock-1"]


def test_locks_of_other_aliases_and_models_do_not_matter(store: RegistryStore) -> None:
    with locked(store, "a", "champion"), locked(store, "a", "canary"), locked(store, "a.champion", "champion"):
        assert names(store, "a") == ["a.champion.lock-1"]


def test_the_lock_is_released_after_an_error(store: RegistryStore) -> None:
    with pytest.raises(ZeroDivisionError), locked(store, "failing", "champion"):
        raise ZeroDivisionError
    assert names(store, "failing") == []


def test_the_lock_of_a_failed_process_holds_until_it_expires(store: RegistryStore) -> None:
    abandoned = leave_behind(store, "dead", seconds=1.0)
    with pytest.raises(PromotionConflict, match="me@there"), locked(store, "dead", "champion"):
        pytest.fail("held by two")
    assert names(store, "dead") == [abandoned]
    made = store.find(abandoned)
    assert made is not None
    while time.time() * 1000 < made.created_ms + 1000:  # the server runs on this machine's clock
        time.sleep(0.05)
    with locked(store, "dead", "champion"):
        assert names(store, "dead") == ["dead.champion.lock-2"]
    assert names(store, "dead") == []


def test_an_expired_lock_that_this_account_may_not_delete_is_ignored(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned, delete = leave_behind(store, "theirs", seconds=0.0), store.delete

    def delete_own(name: str) -> None:
        if name == abandoned:
            raise TrackingError("the MLflow request failed: Permission denied")
        delete(name)

    monkeypatch.setattr(store, "delete", delete_own)
    for _ in range(2):
        with locked(store, "theirs", "champion"):
            assert set(names(store, "theirs")) == {abandoned, "theirs.champion.lock-2"}
        assert names(store, "theirs") == [abandoned]


def test_a_process_that_comes_between_creation_and_second_listing_does_not_take_the_lock(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = store.create
    second: list[str] = []

    def create_and_be_followed(*given: Any) -> Any:
        created = create(*given)
        monkeypatch.undo()
        time.sleep(0.002)  # the server's clock counts milliseconds
        second.append(leave_behind(store, "followed", seconds=60.0, number=2))
        return created

    monkeypatch.setattr(store, "create", create_and_be_followed)
    with locked(store, "followed", "champion"):
        assert second == ["followed.champion.lock-2"]
    with pytest.raises(PromotionConflict, match="me@there"), locked(store, "followed", "champion"):
        pytest.fail("held beside one that was there before")


def test_concurrent_processes_own_the_lock_one_at_a_time(store: RegistryStore) -> None:
    holders, most, n_held, guard = 0, 0, 0, threading.Lock()
    start = threading.Barrier(6)

    def contend() -> None:
        nonlocal holders, most, n_held
        start.wait(60)
        for _ in range(5):
            try:
                with locked(store, "crowd", "champion"):
                    with guard:
                        holders, n_held = holders + 1, n_held + 1
                        most = max(most, holders)
                    store.find("crowd")  # long enough for the others to try
                    with guard:
                        holders -= 1
            except PromotionConflict:
                continue

    threads = [threading.Thread(target=contend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert most == 1
    assert n_held >= 1
    assert names(store, "crowd") == []


@pytest.mark.parametrize("timeout", ["30", "300"])
def test_a_lock_outlasts_the_longest_request(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch, timeout: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", timeout)
    with locked(store, "patient", "champion") as lock:
        assert lock.margin_seconds > float(timeout)
        assert lock.seconds > lock.margin_seconds + 60
        held = store.find(lock.name)
    assert held is not None
    assert float(held.tags["sweeps.lock.seconds"]) == lock.seconds


def test_an_owner_that_is_too_slow_moves_nothing() -> None:
    fresh = Lock("lock", time.monotonic(), seconds=120, margin_seconds=40)
    fresh.check()
    with pytest.raises(PromotionConflict, match="nothing was moved"):
        Lock("lock", time.monotonic() - 81, seconds=120, margin_seconds=40).check()


@pytest.mark.parametrize(
    ("uri", "settings", "seconds"),
    [
        ("http://h:5000", {"TIMEOUT": "30", "MAX_RETRIES": "0"}, 30),
        ("http://h:5000", {"TIMEOUT": "300", "MAX_RETRIES": "0"}, 300),
        ("https://h", {"TIMEOUT": "10", "MAX_RETRIES": "2", "BACKOFF_FACTOR": "2", "BACKOFF_JITTER": "1"}, 30 + 3 + 5),
        ("sqlite:////tmp/mlflow.db", {"TIMEOUT": "300"}, 30),
        ("postgresql://h/db", {"TIMEOUT": "30"}, 600),
    ],
)
def test_the_longest_request_follows_from_the_current_settings(
    uri: str, settings: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    assert longest_request_seconds(uri) == seconds
