"""What has been told of a point, kept so that it can be told again where a journal, or its driver, has lost it."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

from sweeps.models.diagnosis.findings import Finding
from sweeps.storage import atomic_write
from sweeps.storage.layout import PointFolder
from sweeps.trial.events import EpochEnded, Event, Figure, PointEnded, ReportedFinding, from_plain, to_plain

# Epoch (None where the point fails), objective so far, events.
Report = Callable[[int | None, float | list[float], list[Event]], None]


class EventLog:
    """Takes what happens to a point, reports it by `report`, and keeps all of it; `identity` is that of its plan."""

    def __init__(self, folder: PointFolder, identity: str, report: Report) -> None:
        self._folder = folder
        self._identity = identity
        self._report = report
        self._told: list[Event] = []
        self._coming: list[Event] = []

    def add_epoch(
        self,
        epoch: int,
        metrics: dict[str, float],
        figures: tuple[Figure, ...] = (),
        findings: Sequence[Finding] | None = None,
    ) -> None:
        """Take the end of an epoch, to be told next."""
        ended = EpochEnded(
            point_id=self._folder.point_id,
            epoch=epoch,
            metrics=metrics,
            figures=figures,
            findings=_plain(findings),
            worker=f"{platform.node()}:{os.getpid()}",
        )
        self._coming.append(ended)

    def add_end(self, tags: dict[str, str], findings: Sequence[Finding] | None = None) -> None:
        """Take the end of the point with the epoch last taken."""
        self._coming.append(PointEnded(point_id=self._folder.point_id, tags=tags, findings=_plain(findings)))

    def add_failure(self, reason: str, tags: dict[str, str], findings: Sequence[Finding] | None = None) -> None:
        """Take what ended the point, in the place of whatever else was to be told next."""
        self._coming = [
            PointEnded(point_id=self._folder.point_id, failed=True, reason=reason, tags=tags, findings=_plain(findings))
        ]

    def tell(self, epoch: int | None, objective: float | list[float]) -> None:
        """Give what has been taken to `report`."""
        events, self._coming = self._coming, []
        self._told += events
        self._report(epoch, objective, events)

    def tell_end(self, epoch: int | None, objective: float | list[float]) -> None:
        """Report what has been taken, and keep all that was told: whatever is lost, the point is not trained again."""
        end = {"identity": self._identity, "epoch": epoch, "objective": objective, "events": self.state()}
        atomic_write.write(self._folder.end, json.dumps(end).encode())
        self.tell(epoch, objective)

    def tell_end_again(self) -> bool:
        """Report again all that was told of a point that has ended by itself; False where it has not."""
        if not self._folder.end.exists():
            return False
        end = json.loads(self._folder.end.read_text())
        if end["identity"] != self._identity:
            return False
        self._report(end["epoch"], end["objective"], from_plain(end["events"]))
        return True

    def state(self) -> list[dict[str, Any]]:
        """Give what a checkpoint must hold: all that was told, or is to be told next, as plain values."""
        return to_plain([*self._told, *self._coming])

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Take what `state` gave, to be told next: the driver may have been lost before it was recorded."""
        self._coming = from_plain(state)


def _plain(findings: Sequence[Finding] | None) -> tuple[ReportedFinding, ...] | None:
    if findings is None:
        return None
    return tuple(ReportedFinding(name=str(f.name), evidence=dict(f.evidence), advice=f.advice) for f in findings)
