"""What a trial tells the driver, as plain values that cross a Ray boundary and are validated on the other side."""

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# The tag of a run that names the host on which it was trained.
HOST_TAG = "sweeps.host"
# The tag of a run that has the shape of each weight matrix of its network, inputs by units: what was trained, whatever
# was configured.
WEIGHTS_TAG = "sweeps.weights"
# The tag of a run that ended before its last epoch; its value says which rule ended it.
STOPPED_EARLY = "sweeps.stopped_early"
# The tag of a run that tells how many of its epochs of pre-training another run of the sweep had done for it.
REUSED_EPOCHS = "sweeps.reused_epochs"


def now_ms() -> int:
    """Milliseconds since 1970, MLflow's unit of time."""
    return time.time_ns() // 1_000_000


class Figure(BaseModel):
    """A picture to draw later: `source` is the file of arrays, relative to the sweep's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    source: str


class ReportedFinding(BaseModel):
    """A fault that `models.diagnosis.diagnosis` has found: its name, the numbers that show it, and what to change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    evidence: dict[str, float]
    advice: str


class EpochEnded(BaseModel):
    """A point has trained one more epoch; epoch 0 is the start, before any training.

    `findings` are there at epochs after which the point may be stopped: nothing after the report is sure to run.
    `worker` names the process that trains it, by host and process id.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["epoch"] = "epoch"
    point_id: str
    epoch: int
    metrics: dict[str, float] = {}
    figures: tuple[Figure, ...] = ()
    findings: tuple[ReportedFinding, ...] | None = None
    worker: str = ""
    time_ms: int = Field(default_factory=now_ms)


class PointEnded(BaseModel):
    """A point has ended by itself: trained to the end, or failed for `reason`.

    `findings` is None where nothing could be examined: those of an earlier epoch hold then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["end"] = "end"
    point_id: str
    failed: bool = False
    reason: str | None = None
    tags: dict[str, str] = {}
    findings: tuple[ReportedFinding, ...] | None = None
    time_ms: int = Field(default_factory=now_ms)


Event = EpochEnded | PointEnded
_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Annotated[Event, Field(discriminator="event")]])


def to_plain(events: list[Event]) -> list[dict[str, Any]]:
    """Events as dicts of plain values."""
    return [event.model_dump() for event in events]


def from_plain(events: list[dict[str, Any]]) -> list[Event]:
    """The events that `to_plain` wrote."""
    return _EVENTS.validate_python(events)
