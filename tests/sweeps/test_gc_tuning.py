"""The garbage collector is left as it was by those who only kept it from imports."""

import gc
from collections.abc import Iterator

import pytest

from sweeps.gc_tuning import collect_seldom, imports_to_stay, skip_last_collection


class Node:
    """What refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()


def test_what_is_imported_to_stay_is_left_out_of_collections() -> None:
    with imports_to_stay():
        assert not gc.isenabled()
        node = Node()
    assert gc.isenabled()
    assert not any(found is node for found in gc.get_objects())


def test_what_comes_later_is_collected() -> None:
    with imports_to_stay():
        pass
    Node()
    assert gc.collect() > 0


def test_a_collector_that_was_off_stays_off_also_where_an_import_fails() -> None:
    gc.disable()
    with pytest.raises(ImportError), imports_to_stay():
        raise ImportError
    assert not gc.isenabled()


def test_at_the_end_nothing_is_left_to_look_through() -> None:
    collect_seldom()
    assert gc.get_threshold()[0] > 10_000
    skip_last_collection()
    assert not gc.get_objects()
