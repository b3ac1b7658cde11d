"""The events of one point: reported once, and kept so that they can be reported again after a loss."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

from sweeps.models.diagnosis.findings import Finding
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder
from sweeps.trial.events import (
    EpochEnded,
    Event,
    FigureSaved,
    PointEnded,
    ReportedFinding,
    from_json,
    from_plain,
    to_plain,
)

# The epoch (None where the point failed), the best objective so far, and the events.
PointReport = Callable[[int | None, float | list[float], list[Event]], None]


class EventLog:
    """Collect the events of a point and report them.

    `identity` stands for the point's settings: its folder may hold files of another point that had its id before.
    """

    def __init__(self, folder: PointFolder, identity: str, report: PointReport) -> None:
        self.identity = identity
        self.has_reported_end = False
        self._folder = folder
        self._report = report
        self._reported: list[Event] = []
        self._pending: list[Event] = []

    def add_epoch(
        self,
        epoch: int,
        metrics: dict[str, float],
        figures: tuple[FigureSaved, ...] = (),
        findings: Sequence[Finding] | None = None,
    ) -> None:
        """Add the end of an epoch to the next report."""
        ended = EpochEnded(
            point_id=self._folder.point_id,
            epoch=epoch,
            metrics=metrics,
            figures=figures,
            findings=_to_reported(findings),
            worker=f"{platform.node()}:{os.getpid()}",
        )
        self._pending.append(ended)

    def add_end(self, tags: dict[str, str], findings: Sequence[Finding] | None = None) -> None:
        """Add the end of the point to the next report."""
        self._pending.append(PointEnded(point_id=self._folder.point_id, tags=tags, findings=_to_reported(findings)))

    def add_failure(self, reason: str, tags: dict[str, str], findings: Sequence[Finding] | None = None) -> None:
        """Add the failure of the point to the next report, in place of everything else in it."""
        point_id = self._folder.point_id
        self._pending = [
            PointEnded(point_id=point_id, failed=True, reason=reason, tags=tags, findings=_to_reported(findings))
        ]

    def report(self, epoch: int | None, objective: float | list[float]) -> None:
        """Report the pending events."""
        events, self._pending = self._pending, []
        self._reported += events
        self._report(epoch, objective, events)

    def report_end(self, epoch: int | None, objective: float | list[float]) -> None:
        """Report the pending events, the end among them, and save all events: no loss makes the point train again."""
        end = {"identity": self.identity, "epoch": epoch, "objective": objective, "events": to_plain(self._events())}
        atomic_write.write(self._folder.end, json.dumps(end).encode())
        self.report(epoch, objective)
        self.has_reported_end = True

    def report_end_again(self) -> bool:
        """Report all events of a point that an earlier process trained to its end; return False if there is none."""
        if not self._folder.end.exists():
            return False
        end = json.loads(self._folder.end.read_text())
        if end["identity"] != self.identity:
            return False
        self._report(end["epoch"], end["objective"], from_plain(end["events"]))
        return True

    def state(self) -> bytes:
        """Return what a checkpoint must hold: all events, as JSON, which is fast to write for any number of epochs."""
        return json.dumps(to_plain(self._events())).encode()

    def restore(self, state: bytes | list[dict[str, Any]]) -> None:
        """Make the events that `state` returned pending again; checkpoints of version 0.1 hold plain values."""
        self._pending = from_plain(state) if isinstance(state, list) else from_json(state)

    def _events(self) -> list[Event]:
        return [*self._reported, *self._pending]


def _to_reported(findings: Sequence[Finding] | None) -> tuple[ReportedFinding, ...] | None:
    if findings is None:
        return None
    return tuple(
        ReportedFinding(
            name=str(f.name), severity=str(f.severity), evidence=dict(f.evidence), advice=f.advice, change=f.change
        )
        for f in findings
    )
