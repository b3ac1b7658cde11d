"""Parsing of the journal's entries: types and ranges are checked here, and nowhere else.

A journal may be damaged, or be rebuilt from segments in a folder or object store that others can write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from sweeps.models.diagnosis.findings import Severity
from sweeps.storage.sweep_ids import is_folder_name
from sweeps.tracking.journal.database import LAST_MS, MAX_COUNT, EntryRow, damaged
from sweeps.tracking.journal.records import (
    STARTED_LATER,
    Delivered,
    Entry,
    EntryKind,
    PointRecord,
    SweepRecord,
)

_STRICT = ConfigDict(strict=True, extra="forbid")
_MAX_REASON_CHARACTERS = 200
# The entries of one point, and those of one epoch or, for some kinds, of another count.
_OF_A_POINT = frozenset(
    {
        EntryKind.POINT_START,
        EntryKind.POINT_RETRY,
        EntryKind.POINT_END,
        EntryKind.EPOCH,
        EntryKind.BEST_EPOCH,
        EntryKind.RANK,
        EntryKind.SYSTEM_METRICS,
    }
)
_COUNTED = frozenset({EntryKind.EPOCH, EntryKind.BEST_EPOCH, EntryKind.PROGRESS, EntryKind.SYSTEM_METRICS})


def parse_entry(row: EntryRow, path: Path) -> Entry:
    """Return the entry in a row of the journal at `path`; DamagedJournal if it has a value of another type or range."""
    entry_id, kind, point_id, epoch, time_ms, text = row
    try:
        known = EntryKind(kind)
        _check_row(known, point_id, epoch)
        is_start = known in (EntryKind.SWEEP_START, EntryKind.POINT_START)  # what it leaves out has its default
        body = _BODIES[known].model_validate_json(text).model_dump(exclude_unset=not is_start)
        if known is EntryKind.POINT_START and body["point_id"] != point_id:
            raise ValueError("it names two trials")
    except ValueError as error:
        raise damaged(path, f"its entry {entry_id} is damaged ({_reason(error)})") from None
    return Entry(entry_id, known, point_id, epoch, time_ms, body)


def parse_delivered(content: bytes) -> Delivered:
    """Return what MLflow has of a journal, as its folder records it; ValueError if the record is damaged."""
    delivered = _DELIVERED.validate_json(content)
    if not 0 <= delivered.through <= MAX_COUNT:
        raise ValueError(f"entries must be counted from 0 to {MAX_COUNT}")
    return delivered


def _check_row(kind: EntryKind, point_id: str | None, epoch: int | None) -> None:
    if point_id is None and kind in _OF_A_POINT:
        raise ValueError("it names no trial")
    if point_id is not None:
        _check_name(point_id)
    if epoch is None and kind in _COUNTED:
        raise ValueError("it has no epoch")


def _reason(error: ValueError) -> str:
    """Return what is wrong in one short line of printable characters: it may quote the entry."""
    text = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_REASON_CHARACTERS])


def _check_name(text: str) -> str:
    if not is_folder_name(text):
        raise ValueError("an id must be able to name a folder")
    return text


def _start(record: type[SweepRecord | PointRecord], **narrower: Any) -> type[BaseModel]:
    """Return the model of a start entry: a record's fields that are known at the start, some with a narrower type."""
    hints = get_type_hints(record)
    known: dict[str, Any] = {}
    for field in fields(record):
        if field.name not in STARTED_LATER:
            default = field.default if field.default is not MISSING else ...
            if field.default_factory is not MISSING:
                default = Field(default_factory=field.default_factory)
            known[field.name] = (narrower.get(field.name, hints[field.name]), default)
    return create_model(record.__name__, __config__=_STRICT, **known)


_Name = Annotated[str, AfterValidator(_check_name)]
# Delivery refuses a figure whose path leads out of the sweep's folder; no file can be named with a NUL.
_Path = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
_Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
_Milliseconds = Annotated[int, Field(ge=0, le=LAST_MS)]
_DELIVERED = TypeAdapter(Delivered)


class _Body(BaseModel):
    model_config = _STRICT


class _Finding(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    name: str
    severity: Severity | None = None
    evidence: Mapping[str, float]
    advice: str


class _Figure(_Body):
    name: _Path
    kind: str
    source: _Path


class _Metrics(_Body):
    metrics: dict[str, float]


class _Retry(_Body):
    reason: str
    tags: Mapping[str, str] = {}


class _PointEnd(_Body):
    state: Literal["FINISHED", "FAILED", "KILLED"]
    reason: str | None
    tags: Mapping[str, str]
    diagnosis: Sequence[_Finding] | None = None


class _BestEpoch(_Body):
    metrics: Mapping[str, float]
    last_epochs: Mapping[str, _Count]

    @model_validator(mode="after")
    def check_metrics(self) -> Self:
        if not self.last_epochs.keys() <= self.metrics.keys():
            raise ValueError("last epochs must be of metrics of the best epoch")
        return self


class _Rank(_Body):
    rank: _Count
    tags: Mapping[str, str]


class _Resume(_Body):
    config: Mapping[str, Any] | None
    tags: Mapping[str, str]


class _SweepEnd(_Body):
    state: Literal["FINISHED", "FAILED", "INTERRUPTED"]
    description: str
    tags: Mapping[str, str]


_BODIES: dict[EntryKind, type[BaseModel]] = {
    EntryKind.SWEEP_START: _start(SweepRecord, sweep_id=_Name, start_ms=_Milliseconds),
    EntryKind.POINT_START: _start(PointRecord, point_id=_Name, index=_Count, start_ms=_Milliseconds),
    EntryKind.EPOCH: _Metrics,
    EntryKind.FIGURE: _Figure,
    EntryKind.POINT_RETRY: _Retry,
    EntryKind.POINT_END: _PointEnd,
    EntryKind.BEST_EPOCH: _BestEpoch,
    EntryKind.RANK: _Rank,
    EntryKind.PROGRESS: _Metrics,
    EntryKind.SYSTEM_METRICS: _Metrics,
    EntryKind.SWEEP_RESUME: _Resume,
    EntryKind.SWEEP_END: _SweepEnd,
}
