"""One trial of a sweep, found by what a person calls it: SWEEP/TRIAL, a sweep and a trial, or the id of its run."""

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
    """A trial as the journal tells it, ended or not; `diagnosis` is None where it was not examined."""

    sweep: str
    trial: str
    run_id: str | None
    run_name: str
    point: Mapping[str, Any]
    state: PointState
    reason: str | None
    diagnosis: Sequence[Mapping[str, Any]] | None

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain values."""
        return asdict(self) | {"state": str(self.state)}


def load_trial(run: str, trial: str | None = None) -> TrialResult:
    """The trial that `run` and `trial` name, as `find_trial` finds it."""
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
    """Sweep and trial that `run` names: SWEEP/TRIAL, an MLflow run's id, or SWEEP; then `trial`, by default the best.

    A sweep may be named by the beginning of its id, a trial by its number. Raises UnknownSweep and UnknownTrial.
    """
    sweep_id, trial_id = _named(run)
    if trial_id is not None and trial is not None:
        raise UnknownTrial(f"{run!r} names a trial by itself: leave --trial {trial} out, or name the sweep alone")
    result = load_result(find(sweep_id))
    return result, select_trial(result, trial_id or trial)


def is_local(run: str) -> bool:
    """Whether a sweep under `SWEEPS_HOME` is the one that `run` names, as `find_trial` takes it."""
    try:
        find(_named(run)[0])
    except (UnknownSweep, UnknownTrial):
        return False
    return True


def select_trial(result: SweepResult, trial: str | None = None) -> PointRecord:
    """The trial of a sweep with this id or number, by default the best. Raises UnknownTrial."""
    if trial is None and result.best is None:
        raise UnknownTrial(f"no trial of {result.sweep} ranks best: name one as {result.sweep}/TRIAL. {_known(result)}")
    if trial is None:
        assert result.best is not None
        trial = result.best.trial
    for point in result.points:
        if trial == point.point_id or (trial.isdecimal() and int(trial) == point.index):
            return point
    raise UnknownTrial(f"{result.sweep} has no trial {trial!r}. {_known(result)}")


def _named(run: str) -> tuple[str, str | None]:
    return _of_run(run) if _RUN_ID.fullmatch(run) else _of_path(run)


def _of_path(run: str) -> tuple[str, str | None]:
    sweep_id, _, trial_id = run.partition("/")
    return sweep_id, trial_id or None


def _of_run(run_id: str) -> tuple[str, str | None]:
    """Sweep and trial of an MLflow run, from the journals here; without a trial where it is a sweep's own run."""
    for folder in all_folders():
        with read_journal(folder) as journal:
            for trial_id, known in journal.delivery.run_ids().items():
                if known == run_id:
                    return folder.id, trial_id
    raise UnknownTrial(f"no sweep here has the MLflow run {run_id}: name the trial as SWEEP/TRIAL (`sweeps list`)")


def _known(result: SweepResult) -> str:
    ids = [point.point_id for point in result.points]
    return f"It has {ids[0]} to {ids[-1]}." if ids else "None has started yet."
