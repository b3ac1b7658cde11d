"""Segments: copies of the journal's entries in the sweep's folder, in immutable files with checksums.

A segment holds consecutive entries, one JSON line each; its name has the first and last id and the SHA-256 of its
bytes. It is written atomically. Consecutive segments may be merged into one; a reader takes the longest segment that
continues the last one, so a crash between writing the merged one and removing the others does no harm.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sweeps.errors import StorageError
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place
from sweeps.storage.private_files import read_file
from sweeps.tracking.journal.database import LAST_MS, MAX_COUNT, EntryRow

# A segment has at most 32,000 entries, of about 500 bytes each.
MAX_BYTES = 256 * 2**20
_NAME = re.compile(r"(?P<first>[0-9]{9,15})-(?P<last>[0-9]{9,15})-(?P<digest>[0-9a-f]{64})\.jsonl")


@dataclass(frozen=True)
class Segment:
    """A segment's name: the ids of its first and last entry, and its checksum."""

    first: int
    last: int
    digest: str

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        """Return the file's name."""
        return f"{self.first:09d}-{self.last:09d}-{self.digest}.jsonl"


@dataclass(frozen=True)
class SegmentContents:
    """The entries in a folder's segments, from the first one on without a gap.

    `used` are the segments that hold them, `unused` the others. `damage` has a line for each damaged segment, and one
    for those that cannot be used because entries before them are missing.
    """

    rows: Sequence[EntryRow]
    used: Sequence[Segment]
    unused: Sequence[Segment]
    damage: Sequence[str]


def list_segments(folder: Place) -> list[Segment]:
    """Return a folder's segments by first id, the longest first among equals."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [_parsed(match) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(found, key=lambda segment: (segment.first, -segment.last, segment.digest))


def read_segments(folder: Place) -> SegmentContents:
    """Read a folder's segments up to the first gap."""
    rows: list[EntryRow] = []
    used: list[Segment] = []
    damage: list[str] = []
    segments = list_segments(folder)
    for segment in segments:
        if segment.first != len(rows) + 1:
            continue  # a longer segment replaces it, or there is a gap before it
        try:
            rows += _read(folder, segment)
        except ValueError:
            damage.append(f"the segment {segment.name} is damaged")
            continue
        used.append(segment)
    beyond = [segment for segment in segments if segment.first > len(rows) + 1]
    if beyond:
        damage.append(f"{len(beyond)} segments cannot be used, since entry {len(rows) + 1} is missing")
    return SegmentContents(rows, used, [segment for segment in segments if segment not in used], damage)


def write_segment(folder: Place, rows: Sequence[EntryRow]) -> Segment | None:
    """Write consecutive entries as a segment; return None if the disk is full."""
    content = _content(rows)
    segment = Segment(rows[0][0], rows[-1][0], sha256(content).hexdigest())
    return segment if atomic_write.write(folder / segment.name, content, synced=True) else None


def holds(segment: Segment, rows: Sequence[EntryRow]) -> bool:
    """Return whether a segment holds exactly these entries, by its checksum."""
    return sha256(_content(rows)).hexdigest() == segment.digest


def _read(folder: Place, segment: Segment) -> list[EntryRow]:
    """Return the entries of a segment; ValueError if it is damaged."""
    try:
        content = read_file(folder / segment.name, MAX_BYTES)
    except StorageError as error:
        if error.passes:
            raise
        raise ValueError(str(error)) from None
    rows = [_row(line) for line in content.splitlines()]
    is_whole = [row[0] for row in rows] == list(range(segment.first, segment.last + 1))
    if not is_whole or sha256(content).hexdigest() != segment.digest:
        raise ValueError("its entries or its checksum do not match its name")
    return rows


def _content(rows: Sequence[EntryRow]) -> bytes:
    return b"".join(_line(row) for row in rows)


def _parsed(match: re.Match[str]) -> Segment:
    return Segment(int(match["first"]), int(match["last"]), match["digest"])


def _line(row: EntryRow) -> bytes:
    entry_id, kind, point_id, epoch, time_ms, body = row
    entry = {"id": entry_id, "kind": kind, "point": point_id, "epoch": epoch, "time_ms": time_ms}
    return json.dumps(entry | {"body": json.loads(body)}).encode() + b"\n"


class _Line(BaseModel):
    """An entry in a segment; `entry_parsing` checks its body."""

    model_config = ConfigDict(strict=True)

    id: int
    kind: str
    point: str | None
    epoch: int | None = Field(ge=0, le=MAX_COUNT)
    time_ms: int = Field(ge=0, le=LAST_MS)
    body: Any


def _row(line: bytes) -> EntryRow:
    entry = _Line.model_validate_json(line)
    return entry.id, entry.kind, entry.point, entry.epoch, entry.time_ms, json.dumps(entry.body)
