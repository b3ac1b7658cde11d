"""What a trial reports to the driver: plain values that cross a Ray boundary and are validated on the other side."""

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# The tag of a run: the host that trained it.
HOST_TAG = "sweeps.host"
# The tag of a run: the shape of each weight matrix that was trained, inputs × units.
WEIGHTS_TAG = "sweeps.weights"
# The tag of a run: how many of its pretraining epochs it adopted from another run of the sweep.
REUSED_EPOCHS = "sweeps.reused_epochs"


def now_ms() -> int:
    """Return the milliseconds since 1970, MLflow's unit of time."""
    return time.time_ns() // 1_000_000


class FigureSaved(BaseModel):
    """A figure to draw later from the arrays in the file `source`, relative to the sweep's folder.

    `epoch` is the one that it shows; None in reports of earlier versions: the epoch of the report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    source: str
    epoch: int | None = None


class ReportedFinding(BaseModel):
    """A finding of the diagnosis: its name and severity, the numbers that show it, and what to change.

    `change` holds the new value of each setting to change, by dotted path; the advice says the same in words.
    `severity` is None in checkpoints from before it existed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    severity: str | None = None
    evidence: dict[str, float]
    advice: str
    change: dict[str, Any] = {}


class EpochEnded(BaseModel):
    """A point has trained one more epoch; epoch 0 is the start, before any training.

    `findings` come with epochs after which the point may be stopped: the process may end with the report.
    `worker` is the host and process id that trained it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["epoch"] = "epoch"
    point_id: str
    epoch: int
    metrics: dict[str, float] = {}
    figures: tuple[FigureSaved, ...] = ()
    findings: tuple[ReportedFinding, ...] | None = None
    worker: str = ""
    time_ms: int = Field(default_factory=now_ms)


class PointEnded(BaseModel):
    """A point has ended: trained to the end, or failed for `reason`.

    `findings` is None where the point could not be diagnosed; the last findings before it then hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["end"] = "end"
    point_id: str
    failed: bool = False
    reason: str | None = None
    tags: dict[str, str] = {}
    findings: tuple[ReportedFinding, ...] | None = None
    time_ms: int = Field(default_factory=now_ms)


class SystemSampled(BaseModel):
    """What the machine of a point was used for while it trained: MLflow's system metrics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["system"] = "system"
    point_id: str
    metrics: dict[str, float]
    time_ms: int = Field(default_factory=now_ms)


Event = EpochEnded | PointEnded | SystemSampled
_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Annotated[Event, Field(discriminator="event")]])


def to_plain(events: list[Event]) -> list[dict[str, Any]]:
    """Return events as dicts of plain values."""
    return [event.model_dump() for event in events]


def from_plain(events: list[dict[str, Any]]) -> list[Event]:
    """Return the events of dicts that `to_plain` returned."""
    return _EVENTS.validate_python(events)


def from_json(text: bytes) -> list[Event]:
    """Return the events of JSON of what `to_plain` returned."""
    return _EVENTS.validate_json(text)
