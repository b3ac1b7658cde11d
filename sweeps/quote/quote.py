"""A quote: what a sweep will take, from a few steps of its first packs and of the corners of its search space."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.cluster.measuring import count_parameters, measure_packs, shared
from sweeps.cluster.resources import Share
from sweeps.cluster.tune.trainable import TrialInputs
from sweeps.config import SweepConfig
from sweeps.config.search_space import Point, corner_points
from sweeps.errors import SweepFailed
from sweeps.launch import Watch, prepare, start_progress
from sweeps.quote.assembly import Quote, assembled
from sweeps.quote.prediction import Cost, pack_cost
from sweeps.quote.schedule import batches, scheduled
from sweeps.search.packing import Packing, batches_of, packs
from sweeps.search.searchers import point_searcher
from sweeps.tracking import quotes

if TYPE_CHECKING:
    from sweeps.trial.measured_pack import MeasuredPack

# Networks that are built to know their sizes, at the corners and of the first points.
MAX_CORNERS, MAX_POINTS = 64, 64


def quote(config: SweepConfig, *, watch: Watch | None = None, started: float | None = None) -> Quote:
    """Train a few steps of a sweep's packs, and predict what the sweep takes; keep the quote for its end.

    It measures where `run` would train: on this machine, or on the cluster at RAY_ADDRESS. Raises SweepFailed if a
    measured trial fails.
    """
    began = started or time.time()
    with prepare(config, start_progress(config, watch)) as inputs:
        share, packing = inputs.share, inputs.packing
        stored = shared(_trial_inputs(config, inputs.dataset, share))
        points = point_searcher(config).preview(MAX_POINTS)
        first = _packs(config, next(batches(config, points)), share, packing)
        measured = measure_packs([_named(pack) for pack in first[: _n_measured(share, packing)]], stored, share)
        corners = _spread(list(corner_points(config.search)), MAX_CORNERS)
        sizes = count_parameters([*points, *corners], stored, share)
        extremes = _extreme_packs(config, corners, sizes[len(points) :], max(len(pack) for pack in first))
        measured += measure_packs([_named(pack) for pack in extremes], stored, share)
        _check(measured)
        parameters = dict(zip(map(repr, [*points, *corners]), sizes, strict=True))
        costs = [_cost(config, pack, parameters) for pack in measured]
        schedule = scheduled(config, points, sizes[: len(points)], costs, share, packing)
    found = assembled(config, share, schedule, measured, began)
    quotes.save_quote(config, found.seconds, found.uncorrected_seconds)
    return found


def _trial_inputs(config: SweepConfig, dataset: Any, share: Share) -> TrialInputs:
    return TrialInputs(
        sweep=config.to_dict(),
        arrays=dict(dataset.arrays),
        pca_mse=dataset.pca_mse,
        column_mean=dataset.column_mean,
        folder="unused",
        accelerator="gpu" if share.gpus else "cpu",
        statistics=dataset.statistics,
        standardized=dataset.standardized,
    )


def _packs(config: SweepConfig, points: Sequence[Point], share: Share, packing: Packing) -> list[list[Point]]:
    """Return the packs in which `run` would train these points."""
    if not packing.is_packed:
        return [[point] for point in points]
    return packs(
        points,
        lambda point: batches_of(config, config.trial_at(point)),
        largest=packing.largest(on_gpu=share.gpus > 0),
        concurrency=share.concurrency,
    )


def _n_measured(share: Share, packing: Packing) -> int:
    """Return how many of the first packs to measure: one for each worker, and a few more if each is one trial."""
    return share.concurrency if packing.is_packed else max(share.concurrency, 4)


def _extreme_packs(
    config: SweepConfig, corners: Sequence[Point], sizes: Sequence[int], n_points: int
) -> list[list[Point]]:
    """Return packs of the corners with the smallest and with the largest networks, of points that can share a pack."""
    ordered = [corner for _, corner in sorted(zip(sizes, corners, strict=True), key=lambda pair: pair[0])]
    found = []
    for towards_end in (ordered, ordered[::-1]):
        key = batches_of(config, config.trial_at(towards_end[0]))
        alike = [c for c in towards_end if key is not None and batches_of(config, config.trial_at(c)) == key]
        found.append((alike or towards_end[:1])[:n_points])
    return found if len(set(sizes)) > 1 else found[:1]


def _cost(config: SweepConfig, pack: "MeasuredPack", parameters: Mapping[str, int]) -> Cost:
    trial = config.trial_at(dict(pack.points[0]))
    last = max((phase.index for phase in pack.phases), default=0)
    per_phase = trial.n_pretraining_epochs // last if last else 0
    size = sum(parameters[repr(point)] for point in pack.points) / len(pack.points)
    return pack_cost(pack.phases, len(pack.points), per_phase, trial.training.validate_every, size)[0]


def _check(measured: "Sequence[MeasuredPack]") -> None:
    failed = [pack.failures[0] for pack in measured if len(pack.failures) == len(pack.points)]
    if len(failed) == len(measured):
        raise SweepFailed(f"a quote needs trials that train, and all that were measured failed: {failed[0]}")


def _named(pack: Sequence[Point]) -> dict[str, Point]:
    return {f"{number:04d}": point for number, point in enumerate(pack)}


def _spread(points: list[Point], n: int) -> list[Point]:
    if len(points) <= n:
        return points
    return [points[number * (len(points) - 1) // (n - 1)] for number in range(n)]
