"""What may be typed in place of a sweep's id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.storage.sweep_ids import LATEST, is_newest, matches, new_id

OLD = "digits-20260101-090000-ffff"
NEW = "digits-20260102-080000-0000"
DEEP = "digits-deep-20260103-080000-1111"
IDS = [DEEP, NEW, OLD]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (OLD, [OLD]),
        ("digits-20260101", [OLD]),
        ("digits-d", [DEEP]),
        ("digits", [NEW]),
        ("Digits", [NEW]),
        ("digits_deep", [DEEP]),
        (LATEST, [DEEP]),
        ("digit", IDS),
        ("digits-2026", [NEW, OLD]),
        ("mnist", []),
        ("", []),
    ],
)
def test_an_id_a_prefix_a_name_or_latest_means_one_sweep(typed: str, meant: list[str]) -> None:
    assert matches(typed, IDS) == meant


@pytest.mark.parametrize(("typed", "meant"), [("digits", IDS), (LATEST, []), (OLD, [OLD]), ("digits-d", [DEEP])])
def test_without_the_newest_only_ids_and_prefixes_count(typed: str, meant: list[str]) -> None:
    assert matches(typed, IDS, newest=False) == meant


@pytest.mark.parametrize("newest", [True, False])
def test_nothing_typed_means_no_sweep_even_if_there_is_only_one(newest: bool) -> None:
    assert matches("", [OLD], newest=newest) == []


def test_of_two_sweeps_of_one_second_none_is_the_newest() -> None:
    same = "digits-20260102-080000-aaaa"
    assert matches("digits", [*IDS, same]) == [NEW, same]


def test_the_newest_is_said_for_names_and_latest_alone() -> None:
    assert is_newest(LATEST, OLD)
    assert is_newest("digits", OLD)
    assert not is_newest("digits-2026", OLD)
    assert not is_newest(OLD, OLD)
    assert not is_newest("", OLD)


@given(st.text(min_size=1, max_size=30))
def test_a_new_id_is_found_by_itself_its_name_and_any_prefix(name: str) -> None:
    sweep_id = new_id(name)
    assert matches(name, [sweep_id]) == [sweep_id]
    assert all(matches(sweep_id[:end], [sweep_id]) == [sweep_id] for end in range(1, len(sweep_id) + 1))
    assert matches(LATEST, [sweep_id]) == [sweep_id]
