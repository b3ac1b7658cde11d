"""Finding a trial by its name: SWEEP/TRIAL, a sweep and a trial, or the id of its MLflow run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.errors import UnknownSweep, UnknownTrial
from sweeps.storage.layout import all_folders, find
from sweeps.tracking.journal.records import PointRecord, PointState
from sweeps.tracking.journal.restore import read_journal
from sweeps.tracking.results import SweepResult, load_result

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


def load_trial(run: str, trial: str | None = None) -> TrialResult:
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
        diagnosis=point.diagnosis,
    )


def find_trial(run: str, trial: str | None = None) -> tuple[SweepResult, PointRecord]:
    """Find the sweep and trial that `run` names: SWEEP/TRIAL, the id of an MLflow run, or SWEEP with `trial`.

    Without a trial, it is the best one. A sweep may be named by a prefix of its id, a trial by its number. Raises
    UnknownSweep and UnknownTrial.
    """
    sweep_id, trial_id = _parse(run)
    if trial_id is not None and trial is not None:
        raise UnknownTrial(f"{run!r} names a trial already: leave --trial {trial} out, or name only the sweep")
    result = load_result(find(sweep_id))
    return result, select_trial(result, trial_id or trial)


def is_local(run: str) -> bool:
    """Return whether the sweep that `run` names, as in `find_trial`, is under `SWEEPS_HOME`."""
    try:
        find(_parse(run)[0])
    except (UnknownSweep, UnknownTrial):
        return False
    return True


def select_trial(result: SweepResult, trial: str | None = None) -> PointRecord:
    """Return the trial of a sweep with this id or number, by default the best; UnknownTrial if there is none."""
    if trial is None:
        if result.best is None:
            known = _known(result)
            raise UnknownTrial(f"no trial of {result.sweep} is ranked: name one as {result.sweep}/TRIAL. {known}")
        trial = result.best.trial
    for point in result.points:
        if trial == point.point_id or (trial.isdecimal() and int(trial) == point.index):
            return point
    raise UnknownTrial(f"{result.sweep} has no trial {trial!r}. {_known(result)}")


def _parse(run: str) -> tuple[str, str | None]:
    return _find_run(run) if _RUN_ID.fullmatch(run) else _split(run)


def _split(run: str) -> tuple[str, str | None]:
    sweep_id, _, trial_id = run.partition("/")
    return sweep_id, trial_id or None


def _find_run(run_id: str) -> tuple[str, str | None]:
    """Return the sweep and trial of an MLflow run by the journals here; no trial for a sweep's parent run."""
    for folder in all_folders():
        with read_journal(folder) as journal:
            for trial_id, known in journal.delivery.run_ids().items():
                if known == run_id:
                    return folder.id, trial_id
    raise UnknownTrial(f"no sweep here has the MLflow run {run_id}: name the trial as SWEEP/TRIAL (`sweeps list`)")


def _known(result: SweepResult) -> str:
    ids = [point.point_id for point in result.points]
    return f"It has {ids[0]} to {ids[-1]}." if ids else "None has started yet."
