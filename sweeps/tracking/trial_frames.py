"""The trials of a sweep and their epochs as pandas data frames."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.config.search_space import corners
from sweeps.models.diagnosis.findings import serious_names
from sweeps.tracking.journal.records import PointRecord
from sweeps.tracking.journal.restore import read_journal

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.tracking.sweep_result import RankedTrial, SweepResult


def trials_frame(result: "SweepResult") -> "pd.DataFrame":
    """Return a row for each trial, as `SweepResult.trials` says: ranked trials first, best first."""
    import pandas as pd

    ranked = {trial.trial: trial for trial in result.ranking}
    by_id = {point.point_id: point for point in result.points}
    points = [by_id[trial] for trial in ranked]
    points += [point for point in result.points if point.point_id not in ranked]
    trials = [ranked.get(point.point_id) for point in points]
    ranks = {trial: rank for rank, trial in enumerate(ranked, start=1)}
    columns = {
        "rank": pd.array([ranks.get(point.point_id) for point in points], dtype="Int64"),
        "tie": pd.array([result.ties and result.ties.is_tie(point.point_id) for point in points], dtype="boolean"),
        "state": _text([str(point.state) for point in points]),
        **_settings(result, points),
        **_metrics(result, trials),
        "epoch": pd.array([trial and trial.epoch for trial in trials], dtype="Int64"),
        "epochs": pd.array([result.epochs.get(point.point_id, 0) for point in points], dtype="Int64"),
        "seconds": pd.array(
            [math.nan if point.seconds is None else point.seconds for point in points], dtype="float64"
        ),
        "stopped_by": _text([point.stopped_by for point in points]),
        "findings": _text(["; ".join(serious_names(point.diagnosis or ())) for point in points]),
        "reason": _text([point.reason for point in points]),
        "run_name": _text([point.run_name for point in points]),
        "run_id": _text([point.run_id for point in points]),
    }
    return pd.DataFrame(columns, index=pd.Index([point.point_id for point in points], dtype="str", name="trial"))


def history_frame(result: "SweepResult", trial_ids: Sequence[str]) -> "pd.DataFrame":
    """Return a row for each epoch of these trials with the metrics measured after it, indexed by trial and epoch."""
    import pandas as pd

    with read_journal(result.folder) as journal:
        rows = [(trial, epoch, metrics) for trial in trial_ids for epoch, metrics in journal.history(trial)]
    names = dict.fromkeys([*result.objective_metrics, *(name for _, _, metrics in rows for name in metrics)])
    index = pd.MultiIndex.from_arrays(
        [
            pd.Index([trial for trial, _, _ in rows], dtype="str"),
            pd.Index([epoch for _, epoch, _ in rows], dtype="int64"),
        ],
        names=["trial", "epoch"],
    )
    columns = {name: _floats([metrics.get(name) for _, _, metrics in rows]) for name in names}
    return pd.DataFrame(columns, index=index)


def _settings(result: "SweepResult", points: Sequence[PointRecord]) -> dict[str, Any]:
    """Return a column for each searched setting, of the type of its values."""
    paths = dict.fromkeys([*result.config.search, *(path for point in points for path in point.point)])
    columns = {}
    for path in paths:
        values = [point.point.get(path) for point in points]
        searched = result.config.search.get(path)
        columns[path] = _typed(values, examples=values or (corners(searched) if searched is not None else ()))
    return columns


def _metrics(result: "SweepResult", trials: "Sequence[RankedTrial | None]") -> dict[str, Any]:
    measured: list[Mapping[str, float]] = [{} if trial is None else trial.metrics for trial in trials]
    names = dict.fromkeys([*result.objective_metrics, *(name for metrics in measured for name in metrics)])
    return {name: _floats([metrics.get(name) for metrics in measured]) for name in names}


def _typed(values: Sequence[Any], examples: Sequence[Any]) -> Any:
    """Return values as an array of the type that the examples have in common; of objects if they have none."""
    import pandas as pd

    kinds = {type(example) for example in examples if example is not None}
    is_whole = len(examples) > 0 and all(example is not None for example in examples)
    if kinds == {bool}:
        return pd.array(list(values), dtype="bool" if is_whole else "boolean")
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pd.array(list(values), dtype="int64" if is_whole else "Int64")
    if kinds and kinds <= {int, float}:
        return _floats(values)
    if kinds == {str}:
        return _text(values)
    return pd.Series(list(values), dtype="object").array


def _floats(values: Sequence[float | None]) -> Any:
    import numpy as np

    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _text(values: Sequence[str | None]) -> Any:
    """Return a column of text: pandas' own type where it has one, else objects."""
    import pandas as pd

    return pd.Series(list(values), dtype="str" if pd.__version__ >= "3" else "object").array
