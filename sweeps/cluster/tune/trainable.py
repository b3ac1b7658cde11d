"""What Ray Tune trains: a pack of points, on a worker. It imports torch; the driver does not."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ray import tune

from sweeps.config import SweepConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.metrics import References
from sweeps.storage.layout import SweepFolder
from sweeps.storage.object_store import place
from sweeps.trial.events import Event, PointEnded, to_plain
from sweeps.trial.pack import Accelerator, TrialContext, run_points
from sweeps.trial.recorder import reason_of


def run_pack(
    pack: Mapping[str, Any],
    *,
    sweep: Mapping[str, Any],
    data: Mapping[str, Any],
    pca_mse: Any,
    column_mean: Any,
    folder: str,
    accelerator: Accelerator,
) -> None:
    """Train the points of `pack["points"]` and report to Tune; takes plain values and NumPy arrays only.

    A point that raises or diverges has that as its result: it is reported as failed and nothing is raised, so Tune
    retries what was lost with its process and nothing else.
    """
    _quieten_lightning()
    points = {entry["id"]: entry["point"] for entry in pack["points"]}
    try:
        config = SweepConfig.restore(sweep)
        torch.set_num_threads(max(1, math.floor(config.resources.cpus_per_trial)))
        surroundings = TrialContext(
            config,
            DataArrays.from_dict(data),
            References(np.asarray(pca_mse)),
            SweepFolder(place(folder)),
            np.asarray(column_mean),
            accelerator,
        )
        run_points(points, surroundings, _report_to_tune)
    except Exception as error:  # Not of a single point: what they are given is at issue.
        logging.getLogger(__name__).exception("Trials %s failed", ", ".join(points))
        ended = [PointEnded(point_id=point_id, failed=True, reason=reason_of(error)) for point_id in points]
        _report_to_tune(None, dict.fromkeys(points, math.nan), list(ended))


def _report_to_tune(epoch: int | None, objectives: Mapping[str, float | list[float]], events: list[Event]) -> None:
    result: dict[str, Any] = {"events": to_plain(events), "objectives": dict(objectives)}
    if len(objectives) == 1:
        (result["objective"],) = objectives.values()  # what stops trials early looks at
    if epoch is not None:
        result["epoch"] = epoch
    tune.report(result)


def _quieten_lightning() -> None:
    """Leave the worker's log to what matters: Lightning otherwise tells of every fit that it has no GPU."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
