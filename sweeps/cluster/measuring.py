"""Measure packs on the workers of a cluster, for a quote."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.cluster.resources import Share
from sweeps.cluster.tune.trainable import TrialInputs, import_pack, trial_context
from sweeps.config.search_space import Point

if TYPE_CHECKING:
    from sweeps.trial.measured_pack import MeasuredPack


def measure_packs(packs: Sequence[Mapping[str, Point]], inputs: Any, share: Share) -> "list[MeasuredPack]":
    """Return what a few steps of each pack take; as many run at once as in a sweep. `inputs` comes from `shared`."""
    import ray

    task = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=0)(_measure)
    found: list[MeasuredPack] = ray.get([task.remote(dict(pack), inputs) for pack in packs])
    return found


def count_parameters(points: Sequence[Point], inputs: Any, share: Share) -> list[int]:
    """Return the number of parameters at each point."""
    import ray

    task = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=0)(_count)
    counts: list[int] = ray.get(task.remote(list(points), inputs))
    return counts


def shared(inputs: TrialInputs) -> Any:
    """Store what all packs share once, as a sweep does."""
    import ray

    return ray.put(inputs)


def _measure(pack: dict[str, Point], inputs: TrialInputs) -> "MeasuredPack":
    started = time.time()
    context = _context(inputs)
    from sweeps.trial.measured_pack import measure_pack

    return measure_pack(pack, context, started)


def _count(points: list[Point], inputs: TrialInputs) -> list[int]:
    context = _context(inputs)
    from sweeps.trial.measured_pack import parameter_counts

    return parameter_counts(points, context)


def _context(inputs: TrialInputs) -> Any:
    import_pack()
    context = trial_context(inputs)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return context
