"""What Ray Tune trains: a pack of points, on a worker. The driver imports this module too, so torch comes late."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.config import SweepConfig
from sweeps.errors import reason_of
from sweeps.gc_tuning import imports_to_stay
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.metrics import References
from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import place
from sweeps.trial.events import Event, PointEnded, to_plain
from sweeps.trial.system_metrics import Sampling, with_system_metrics

if TYPE_CHECKING:
    from sweeps.trial.context import TrialContext


@dataclass(frozen=True)
class TrialInputs:
    """The inputs that all packs of a sweep share, as plain values and arrays; Ray stores them once per node.

    `arrays` is a `DataArrays` as a dict, `pca_mse` the validation error of PCA by number of components, `column_mean`,
    (features,), the mean of the scaled training inputs. `statistics` and `standardized` are those of `Dataset`.
    `sampling` is how to measure system metrics, if at all.
    """

    sweep: Mapping[str, Any]
    arrays: Mapping[str, Any]
    pca_mse: NDArray[np.float64]
    column_mean: NDArray[np.float64]
    folder: str
    accelerator: Literal["cpu", "gpu"]
    statistics: FeatureStatistics | None = None
    standardized: References | None = None
    sampling: Sampling | None = None


def train_pack(pack: Mapping[str, Any], *, inputs: TrialInputs) -> None:
    """Train the points of `pack["points"]` and report them to Tune.

    It never raises: a point that raises or diverges is reported as failed, so that Tune retries only lost processes.
    """
    import_pack()
    from sweeps.trial.pack import train_points

    points = {entry["id"]: entry["point"] for entry in pack["points"]}
    try:
        context = trial_context(inputs)
        with with_system_metrics(points, inputs.sampling, _report_to_tune) as report:
            train_points(points, context, report)
    except Exception as error:  # not an error of a single point: the inputs they share are wrong
        logging.getLogger(__name__).exception("Trials %s failed", ", ".join(points))
        ended = [PointEnded(point_id=point_id, failed=True, reason=reason_of(error)) for point_id in points]
        _report_to_tune(None, dict.fromkeys(points, math.nan), list(ended))


def trial_context(inputs: TrialInputs) -> "TrialContext":
    """Return the context of a worker's trials, and let torch use as many threads as a trial may."""
    import torch

    from sweeps.datamodules.arrays import DataArrays
    from sweeps.trial.context import TrialContext

    _quieten_lightning()
    config = SweepConfig.restore(inputs.sweep)
    torch.set_num_threads(max(1, math.floor(config.resources.cpus_per_trial)))
    return TrialContext(
        config,
        DataArrays.from_dict(inputs.arrays),
        References(inputs.pca_mse),
        SweepFolder(place(inputs.folder)),
        inputs.column_mean,
        inputs.accelerator,
        inputs.statistics,
        inputs.standardized,
    )


@cache
def import_pack() -> None:
    """Import what trains a pack once in a worker's life, without garbage collections meanwhile."""
    with imports_to_stay():
        import sweeps.trial.pack  # noqa: F401


def _report_to_tune(epoch: int | None, objectives: Mapping[str, float | list[float]], events: list[Event]) -> None:
    from ray import tune

    result: dict[str, Any] = {"events": to_plain(events), "objectives": dict(objectives)}
    if len(objectives) == 1:
        (result["objective"],) = objectives.values()  # what the scheduler of early stopping reads
    if epoch is not None:
        result["epoch"] = epoch
    tune.report(result)


def _quieten_lightning() -> None:
    """Keep Lightning's notes on the hardware of each fit out of the worker's log."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
