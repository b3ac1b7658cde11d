"""Delivery of a window of the journal's entries to MLflow, in as few requests as possible."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sweeps.config.objective import stored_objectives
from sweeps.errors import StorageError
from sweeps.models.figures.table import figures_from
from sweeps.storage.object_store import Place
from sweeps.storage.private_files import is_inside, read_file
from sweeps.tracking.journal.journal import Journal
from sweeps.tracking.journal.records import Entry, EntryKind, PointState, SweepState
from sweeps.tracking.mlflow.client import Measurement, MlflowStore
from sweeps.tracking.mlflow.connection import Refused, Unavailable
from sweeps.tracking.mlflow.entry_values import measurements_of, tags_of
from sweeps.tracking.mlflow.figures import REPORT_KIND, FigureError, draw
from sweeps.tracking.mlflow.image_grid import LOGGED_IMAGES_TAG, image_files
from sweeps.tracking.mlflow.run_metadata import NOTE_TAG, POINT_TAG, ROLE_TAG, SWEEP_ROLE, SWEEP_TAG, diagnosis_text
from sweeps.tracking.mlflow.uri import run_link

PARENT_TAG = "mlflow.parentRunId"
_STATUS = {SweepState.FINISHED: "FINISHED", SweepState.FAILED: "FAILED", SweepState.INTERRUPTED: "KILLED"}
_STARTS = (EntryKind.SWEEP_START, EntryKind.POINT_START)
_ENDS = (EntryKind.SWEEP_END, EntryKind.POINT_END)
_RESTARTS = (EntryKind.SWEEP_RESUME, EntryKind.POINT_RETRY)
# Kinds of figures that are images in MLflow's image grid, where epochs and trials are compared.
_IMAGES = frozenset(figure.kind for figure in figures_from("snapshot"))

WINDOW = 500
# Figures take longer, and new entries should not wait for many of them.
FIGURES_WINDOW = 30
_MAX_REPORT_BYTES = 2**26


@dataclass(frozen=True)
class WindowOutcome:
    """How many entries were delivered or refused for good, and what kept the others back, if anything."""

    n_done: int
    error: str | None


class Delivery:
    """Delivers entries to one store, and marks them in the journal."""

    def __init__(self, journal: Journal, store: MlflowStore, sweep_folder: Place) -> None:
        self._journal = journal
        self._state = journal.delivery
        self._store = store
        self._folder = sweep_folder
        self._run_ids: dict[str | None, str] = {}
        self._has_searched = False
        self._with_images: set[str] = set()
        self._report_digest = b""

    def deliver(self, arrived: Callable[[], None] = lambda: None) -> WindowOutcome:
        """Deliver a window of undelivered entries as far as possible; call `arrived` after each successful request.

        Figures come last and have their own window: metrics and states wait neither for figures nor for files that the
        store cannot write.
        """
        run_ids = self._state.run_ids()
        if run_ids != self._run_ids:  # Another process has delivered entries meanwhile.
            self._run_ids, self._has_searched = run_ids, False
        entries = self._state.undelivered(WINDOW, figures=False)
        figures = self._state.undelivered(FIGURES_WINDOW, figures=True)
        self._journal.flush()  # After a power cut, the journal must still have what MLflow has.
        tasks: list[tuple[list[Entry], Callable[[Sequence[Entry]], None]]]
        tasks = [(run, partial(self._deliver_run, point_id)) for point_id, run in _by_run(entries)]
        tasks += [([figure], self._deliver_figure) for figure in figures]
        n_done, last_error = 0, None
        for batch, send in tasks:
            try:
                self._settle(batch, send)
            except Unavailable as error:
                last_error = str(error)
                if not error.answered:
                    break
            else:
                n_done += len(batch)
                arrived()
        return WindowOutcome(n_done, last_error)

    def _settle(self, entries: Sequence[Entry], send: Callable[[Sequence[Entry]], None]) -> None:
        """Send and mark entries; if MLflow refuses them together, send them one by one."""
        entry_ids = [entry.entry_id for entry in entries]
        try:
            send(entries)
        except (Refused, FigureError) as error:
            if len(entries) == 1:
                self._state.mark_refused(entry_ids, str(error))
                return
            for entry in entries:
                self._settle([entry], send)
        else:
            self._state.mark_delivered(entry_ids)

    def _deliver_run(self, point_id: str | None, entries: Sequence[Entry]) -> None:
        """Send one run's entries: create the run, log start, metrics and end in one batch, then set its status."""
        run_id = self._run_id(point_id)
        metrics: list[Measurement] = []
        params: dict[str, str] = {}
        tags: dict[str, str] = {}
        for entry in entries:
            if entry.kind in _STARTS:
                params |= entry.body["params"]
                if dataset := entry.body["dataset"] or (point_id and self._journal.sweep().dataset):
                    self._store.log_dataset(run_id, dataset)
            metrics += measurements_of(entry)
            tags |= tags_of(entry, self._with_links)
        if metrics or params or tags:
            self._store.log(run_id, metrics, params, tags)
        self._set_state(run_id, [entry for entry in entries if entry.kind in (*_ENDS, *_RESTARTS)])

    def _set_state(self, run_id: str, changes: Sequence[Entry]) -> None:
        if not changes:
            return
        last = changes[-1]
        if last.kind in _RESTARTS:
            self._store.reopen_run(run_id)
        elif last.kind == EntryKind.SWEEP_END:
            self._store.end_run(run_id, _STATUS[SweepState(last.body["state"])], last.time_ms)
        else:
            self._store.end_run(run_id, PointState(last.body["state"]).value, last.time_ms)

    def _with_links(self, description: str) -> str:
        """Complete the links to runs; a name without a run stays plain text."""

        def link(match: re.Match[str]) -> str:
            name, point_id = match.groups()
            run_id = self._run_ids.get(point_id)
            return f"[{name}]({run_link('', self._store.experiment_id, run_id)})" if run_id else name

        return re.sub(r"\[([^\]]*)\]\(run:([^)]*)\)", link, description)

    def _run_id(self, point_id: str | None) -> str:
        """Return the run of a point; look it up in MLflow before creating it."""
        if point_id not in self._run_ids and not self._has_searched:
            # The run may exist although its id is unknown: after a crash, or if the response was lost.
            for found, run_id in self._store.find_runs().items():
                self._remember(found, run_id)
            self._has_searched = True
        if point_id not in self._run_ids:
            name, start_ms, tags = self._identity(point_id)
            self._has_searched = False
            self._remember(point_id, self._store.create_run(name, start_ms, tags))
            self._has_searched = True
        return self._run_ids[point_id]

    def _remember(self, point_id: str | None, run_id: str) -> None:
        self._run_ids[point_id] = run_id
        self._state.set_run_id(point_id, run_id)

    def _identity(self, point_id: str | None) -> tuple[str, int, dict[str, str]]:
        sweep = self._journal.sweep()
        if point_id is None:
            note = {NOTE_TAG: sweep.description} if sweep.description else {}
            return (
                sweep.sweep_id,
                sweep.start_ms,
                {**sweep.tags, SWEEP_TAG: sweep.sweep_id, ROLE_TAG: SWEEP_ROLE, **note},
            )
        point = self._journal.point(point_id)
        if point is None:
            raise Refused(f"point {point_id} never started")
        links = {SWEEP_TAG: sweep.sweep_id, POINT_TAG: point_id, PARENT_TAG: self._run_id(None)}
        return point.run_name, point.start_ms, {**point.tags, **links}

    def _deliver_figure(self, entries: Sequence[Entry]) -> None:
        (entry,) = entries
        kind, name, source = entry.body["kind"], entry.body["name"], entry.body["source"]
        if not (is_inside(self._folder, name) and is_inside(self._folder, source)):
            raise FigureError(
                f"the name and the source of a figure must lie in the sweep folder, not {name} at {source}"
            )
        if kind == REPORT_KIND:
            self._deliver_report(name, source)
            return
        content = self._text(entry.point_id) if kind == "diagnosis" else self._png(entry.point_id, entry.body)
        run_id = self._run_id(entry.point_id)
        if kind not in _IMAGES:
            self._store.log_file(run_id, name, content)
            return
        for file, part in image_files(run_id, kind, entry.epoch or 0, entry.time_ms, content).items():
            self._store.log_file(run_id, file, part)
        if run_id not in self._with_images:
            self._store.log(run_id, [], {}, {LOGGED_IMAGES_TAG: "True"})
            self._with_images.add(run_id)

    def _deliver_report(self, name: str, source: str) -> None:
        """Send the sweep's report as it is now; after an outage, several entries wait for the same file."""
        try:
            content = read_file(self._folder / source, _MAX_REPORT_BYTES)
        except StorageError as error:
            if error.passes:  # an object store that does not answer for now
                raise Unavailable(str(error), answered=True) from error
            raise FigureError(f"cannot read the report {source}: {error}") from error
        except OSError as error:
            raise FigureError(f"cannot read the report {source}: {error}") from error
        digest = hashlib.sha256(content).digest()
        if digest != self._report_digest:
            self._store.log_file(self._run_id(None), name, content)
            self._report_digest = digest

    def _text(self, point_id: str | None) -> bytes:
        point = self._journal.point(point_id) if point_id is not None else None
        if point is None or point.diagnosis is None:
            raise FigureError("the trial has no diagnosis")
        return diagnosis_text(point.diagnosis).encode()

    def _png(self, point_id: str | None, body: Mapping[str, Any]) -> bytes:
        point = self._journal.point(point_id) if point_id is not None else None
        source = self._folder / body["source"]
        if point is None:
            return draw(body["kind"], source, [], {})
        objectives = stored_objectives(self._journal.sweep().config)
        history = self._journal.history(point.point_id)
        return draw(body["kind"], source, history, point.references, point.run_name, objectives)


def _by_run(window: Sequence[Entry]) -> list[tuple[str | None, list[Entry]]]:
    """Group entries by run in order; the parent run starts before all others and ends after them."""
    groups: dict[str | None, list[Entry]] = {}
    for entry in window:
        groups.setdefault(entry.point_id, []).append(entry)
    parent = groups.pop(None, [])
    start = [entry for entry in parent if entry.kind == EntryKind.SWEEP_START]
    rest = [entry for entry in parent if entry.kind != EntryKind.SWEEP_START]
    return [(point_id, entries) for point_id, entries in [(None, start), *groups.items(), (None, rest)] if entries]
