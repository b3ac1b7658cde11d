"""Finding a trial by its name: SWEEP/TRIAL, a sweep and a trial, or the id of its MLflow run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any, TypeAlias

from sweeps.errors import InputError, SweepError, UnknownTrial
from sweeps.models.diagnosis.findings import with_severities
from sweeps.storage.layout import SweepFolder, all_folders, find
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import SweepResult, load_result
from sweeps.tracking.short_text import aligned, fitted, number, wrapped

_MAX_SETTINGS = 4
# A trial by its id or number; None means the best. NumPy's whole numbers are accepted too.
TrialName: TypeAlias = str | int | None
_RUN_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class TrialResult:
    """A trial by its journal, ended or not; `diagnosis` is None if it was not diagnosed."""

    sweep: str
    trial: str
    run_id: str | None
    run_name: str
    point: Mapping[str, Any]
    state: PointState
    reason: str | None
    diagnosis: Sequence[Mapping[str, Any]] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain values."""
        return asdict(self) | {"state": str(self.state)}

    def __repr__(self) -> str:
        return fitted(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"TrialResult {self.sweep}/{self.trial} {self.state}"
        yield from aligned(self.point, _MAX_SETTINGS)
        if self.reason is not None:
            yield from wrapped(self.reason)
        if self.diagnosis is None:
            yield "  not diagnosed"
        elif not self.diagnosis:
            yield "  no findings"
        for finding in self.diagnosis or ():
            evidence = ", ".join(f"{name} {number(value)}" for name, value in finding["evidence"].items())
            yield from wrapped(f"{finding['severity']}: {finding['name']}{f' ({evidence})' if evidence else ''}")
            yield from wrapped(finding["advice"], indent="    ")


@dataclass(frozen=True)
class NamedRun:
    """What the name of a run or trial means on this machine: a sweep, and one of its trials if the name says which."""

    name: str
    folder: SweepFolder
    trial: str | None


def find_run(run: str) -> NamedRun:
    """Return the sweep, and the trial if any, that `run` names: SWEEP, SWEEP/TRIAL or the id of an MLflow run.

    A sweep may be named by the beginning of its id. Raises UnknownSweep and UnknownTrial.
    """
    if _RUN_ID.fullmatch(run):
        return _of_run_id(run)
    sweep_id, _, trial_id = run.partition("/")
    return NamedRun(run, find(sweep_id), trial_id or None)


def load_trial(run: str | NamedRun, trial: TrialName = None) -> TrialResult:
    """Return the trial that `find_trial` finds."""
    result, point = find_trial(run, trial)
    return TrialResult(
        sweep=result.sweep,
        trial=point.point_id,
        run_id=point.run_id,
        run_name=point.run_name,
        point=point.point,
        state=point.state,
        reason=point.reason,
        diagnosis=with_severities(point.diagnosis),
    )


def find_trial(run: str | NamedRun, trial: TrialName = None) -> tuple[SweepResult, PointRecord]:
    """Return the sweep and trial that `run` names, as `find_run` reads it; then `trial`, by default the best.

    A trial may be named by its number. Raises UnknownSweep and UnknownTrial.
    """
    named = find_run(run) if isinstance(run, str) else run
    if named.trial is not None and trial is not None:
        raise UnknownTrial(f"{named.name!r} names a trial by itself: leave out trial {trial}, or name the sweep alone")
    result = load_result(named.folder)
    return result, select_trial(result, trial if named.trial is None else named.trial)


def select_trial(result: SweepResult, trial: TrialName = None) -> PointRecord:
    """Return the trial of a sweep with this id or number, by default the best.

    Raises UnknownTrial if there is none, InputError if `trial` is neither text nor a whole number.
    """
    if trial is not None and not isinstance(trial, str):
        if isinstance(trial, bool) or not isinstance(trial, Integral):
            raise InputError(f"trial must be the id or number of a trial, not {trial!r}")
        trial = str(trial)
    if trial is None:
        if result.best is None:
            known = _known(result)
            raise UnknownTrial(f"no trial of {result.sweep} is ranked: name one as {result.sweep}/TRIAL. {known}")
        trial = result.best.trial
    for point in result.points:
        if trial == point.point_id or (trial.isdecimal() and int(trial) == point.index):
            return point
    raise UnknownTrial(f"{result.sweep} has no trial {trial!r}. {_known(result)}")


def _of_run_id(run_id: str) -> NamedRun:
    """Return what the journals on this machine know of an MLflow run; no trial if it is a sweep's own run."""
    for folder in all_folders():
        with suppress(SweepError), read_journal(folder) as journal:  # `sweeps list` reports an unreadable one
            for trial_id, known in journal.delivery.run_ids().items():
                if known == run_id:
                    return NamedRun(run_id, folder, trial_id)
    raise UnknownTrial(f"no sweep here has the MLflow run {run_id}: name the trial as SWEEP/TRIAL (`sweeps list`)")


def _known(result: SweepResult) -> str:
    ids = [point.point_id for point in result.points]
    return f"It has {ids[0]} to {ids[-1]}." if ids else "None has started yet."
