"""Segments: the journal's entries in the sweep's folder, in files that never change and that prove themselves.

A segment holds the entries from one id to another, as JSON, a line each; its name has both ids and the SHA-256 of its
bytes. It is written whole or not at all. Several that follow one another may be replaced by one that holds them all;
whoever reads takes the longest that goes on from where the last one ended, so a crash between the two does no harm.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place
from sweeps.tracking.journal.database import EntryRow

_NAME = re.compile(r"(?P<first>\d{9,})-(?P<last>\d{9,})-(?P<digest>[0-9a-f]{64})\.jsonl")


@dataclass(frozen=True)
class Segment:
    """One segment, by its name: the ids of its first and last entry, and its checksum."""

    first: int
    last: int
    digest: str

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.first:09d}-{self.last:09d}-{self.digest}.jsonl"


@dataclass(frozen=True)
class SegmentContents:
    """What a folder's segments give: the entries from 1 on without a gap, and the segments that they come from.

    `unused` are the folder's other segments; `damage` holds a line for each segment that is damaged, or of no use since
    one before it is.
    """

    rows: Sequence[EntryRow]
    used: Sequence[Segment]
    unused: Sequence[Segment]
    damage: Sequence[str]


def list_segments(folder: Place) -> list[Segment]:
    """The segments that a folder holds, those first that begin first, and of these the longest."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [_parsed(match) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(found, key=lambda segment: (segment.first, -segment.last, segment.digest))


def read_segments(folder: Place) -> SegmentContents:
    """Read what a folder's segments hold, as far as they follow one another and are whole."""
    rows: list[EntryRow] = []
    used: list[Segment] = []
    damage: list[str] = []
    segments = list_segments(folder)
    for segment in segments:
        if segment.first != len(rows) + 1:
            continue  # one of those that a longer one has replaced, or a gap is before it
        content = (folder / segment.name).read_bytes()
        if sha256(content).hexdigest() != segment.digest:
            damage.append(f"the segment {segment.name} is damaged")
            continue
        rows += [_row(line) for line in content.splitlines()]
        used.append(segment)
    beyond = [segment for segment in segments if segment.first > len(rows) + 1]
    if beyond:
        damage.append(f"{len(beyond)} segments are of no use without the entries from {len(rows) + 1} on")
    return SegmentContents(rows, used, [segment for segment in segments if segment not in used], damage)


def write_segment(folder: Place, rows: Sequence[EntryRow]) -> Segment | None:
    """Write entries that follow one another as a segment; None where the disk has no space for it."""
    content = _content(rows)
    segment = Segment(rows[0][0], rows[-1][0], sha256(content).hexdigest())
    return segment if atomic_write.write(folder / segment.name, content, synced=True) else None


def holds(segment: Segment, rows: Sequence[EntryRow]) -> bool:
    """Whether these are the entries of a segment, as its name tells."""
    return sha256(_content(rows)).hexdigest() == segment.digest


def _content(rows: Sequence[EntryRow]) -> bytes:
    return b"".join(_line(row) for row in rows)


def _parsed(match: re.Match[str]) -> Segment:
    return Segment(int(match["first"]), int(match["last"]), match["digest"])


def _line(row: EntryRow) -> bytes:
    entry_id, kind, point_id, epoch, time_ms, body = row
    entry = {"id": entry_id, "kind": kind, "point": point_id, "epoch": epoch, "time_ms": time_ms}
    return json.dumps(entry | {"body": json.loads(body)}).encode() + b"\n"


def _row(line: bytes) -> EntryRow:
    entry = json.loads(line)
    body = json.dumps(entry["body"])
    return entry["id"], entry["kind"], entry["point"], entry["epoch"], entry["time_ms"], body
