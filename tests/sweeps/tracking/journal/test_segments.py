"""Segments: whatever is damaged, a reader gets a prefix of what was written."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.tracking.journal.database import EntryRow
from sweeps.tracking.journal.segments import list_segments, read_segments, write_segment

bodies = st.dictionaries(
    st.text(max_size=5), st.floats() | st.text(max_size=8) | st.none() | st.lists(st.integers(), max_size=2), max_size=3
)
sizes = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def rows(body_list: list[dict[str, object]]) -> list[EntryRow]:
    kinds = ("sweep_start", "epoch", "point_end")
    return [
        (number, kinds[number % 3], None if number % 3 else "0001", number if number % 2 else None, 5, json.dumps(body))
        for number, body in enumerate(body_list, start=1)
    ]


def written(folder: Path, sizes: list[int], draw: Callable[[int], list[dict[str, object]]]) -> list[list[EntryRow]]:
    """Write segments with these numbers of entries."""
    all_rows = rows(draw(sum(sizes)))
    parts = []
    for size in sizes:
        parts.append(all_rows[:size])
        all_rows = all_rows[size:]
        assert write_segment(folder, parts[-1]) is not None
    return parts


@given(sizes=sizes, data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_truncated_newest_segment_is_named_and_those_before_it_are_read(
    sizes: list[int], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        parts = written(folder, sizes, lambda n: data.draw(st.lists(bodies, min_size=n, max_size=n)))
        newest = folder / list_segments(folder)[-1].name
        content = newest.read_bytes()
        newest.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        contents = read_segments(folder)
        assert list(contents.rows) == [row for part in parts[:-1] for row in part]
        assert [line for line in contents.damage if newest.name in line] == list(contents.damage) != []


@given(sizes=sizes, data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_segment_with_a_flipped_bit_is_named_and_those_before_it_are_read(
    sizes: list[int], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        parts = written(folder, sizes, lambda n: data.draw(st.lists(bodies, min_size=n, max_size=n)))
        which = data.draw(st.integers(0, len(parts) - 1))
        damaged = folder / list_segments(folder)[which].name
        content = bytearray(damaged.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        damaged.write_bytes(content)
        contents = read_segments(folder)
        assert list(contents.rows) == [row for part in parts[:which] for row in part]
        assert damaged.name in contents.damage[0]
        assert len(contents.damage) == (1 if which == len(parts) - 1 else 2)  # those behind it cannot be used


@given(sizes=sizes, data=st.data())
@settings(max_examples=25, deadline=None)
def test_rows_are_read_exactly_as_written(sizes: list[int], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        parts = written(Path(name), sizes, lambda n: data.draw(st.lists(bodies, min_size=n, max_size=n)))
        contents = read_segments(Path(name))
        assert list(contents.rows) == [row for part in parts for row in part]
        assert not contents.damage


def some(n_entries: int) -> list[EntryRow]:
    return rows([{"metrics": {"valid/mse": math.nan}}] * n_entries)


def test_a_folder_without_segments_holds_no_entries(tmp_path: Path) -> None:
    assert not read_segments(tmp_path / "none").rows


def test_a_merged_segment_is_read_in_place_of_its_parts(tmp_path: Path) -> None:
    entries = some(6)
    for part in (entries[:2], entries[2:3], entries[:3], entries[3:]):
        write_segment(tmp_path, part)
    contents = read_segments(tmp_path)
    assert list(contents.rows) == entries
    assert [len(segment) for segment in contents.used] == [3, 3]


def test_the_parts_of_a_damaged_merged_segment_are_read_in_its_place(tmp_path: Path) -> None:
    entries = some(6)
    for part in (entries[:2], entries[2:3], entries[3:]):
        write_segment(tmp_path, part)
    merged = write_segment(tmp_path, entries[:3])
    assert merged is not None
    (tmp_path / merged.name).write_bytes(b"")
    contents = read_segments(tmp_path)
    assert list(contents.rows) == entries
    assert len(contents.damage) == 1


def test_segments_behind_a_gap_are_not_read_and_are_reported(tmp_path: Path) -> None:
    entries = some(6)
    for part in (entries[:2], entries[3:5], entries[5:]):
        write_segment(tmp_path, part)
    contents = read_segments(tmp_path)
    assert list(contents.rows) == entries[:2]
    assert contents.damage == ["2 segments cannot be used, since entry 3 is missing"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    segment = write_segment(tmp_path, some(1))
    assert segment is not None
    shutil.copy(tmp_path / segment.name, tmp_path / f"{segment.name}.0a1b2c3d.partial")
    (tmp_path / "notes.txt").write_text("mine")
    assert read_segments(tmp_path).used == [segment]


@pytest.mark.parametrize("n_entries", [1, 3])
def test_a_segment_is_named_by_its_entries_and_its_checksum(tmp_path: Path, n_entries: int) -> None:
    segment = write_segment(tmp_path, some(n_entries))
    assert segment is not None
    assert len(segment) == n_entries
    assert segment.name == f"000000001-{n_entries:09d}-{segment.digest}.jsonl"
    assert [path.name for path in tmp_path.iterdir()] == [segment.name]
