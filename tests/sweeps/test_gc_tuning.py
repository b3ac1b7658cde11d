"""Imports run without garbage collections, and the collector's state is restored afterwards."""

import gc
from collections.abc import Iterator

import pytest

from sweeps.gc_tuning import collect_seldom, imports_to_stay, skip_last_collection


class Node:
    """An object that refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _restore_collector() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()


def test_imported_objects_are_excluded_from_collections() -> None:
    with imports_to_stay():
        assert not gc.isenabled()
        node = Node()
    assert gc.isenabled()
    assert not any(found is node for found in gc.get_objects())


def test_objects_created_after_the_import_are_collected() -> None:
    with imports_to_stay():
        pass
    Node()
    assert gc.collect() > 0


def test_a_disabled_collector_stays_disabled_even_if_an_import_fails() -> None:
    gc.disable()
    with pytest.raises(ImportError), imports_to_stay():
        raise ImportError
    assert not gc.isenabled()


def test_no_objects_are_tracked_at_exit() -> None:
    collect_seldom()
    assert gc.get_threshold()[0] > 10_000
    skip_last_collection()
    assert not gc.get_objects()
