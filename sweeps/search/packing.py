"""Which points of a sweep train together, as packs. Plain Python: the driver loads no torch."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from sweeps.config import SweepConfig, TrialConfig
from sweeps.search.searchers import point_searcher
from sweeps.search.successive_halving import halving

ItemT = TypeVar("ItemT")

# On a CPU a pack of 8 gains most of what packing can, and a lost process costs 8 points; on a GPU memory is the limit,
# and a pack that exceeds it is divided (measured by tests/benchmarks/test_packs.py).
_LARGEST_ON_CPU, _LARGEST_ON_GPU = 8, 64
ALL_DIFFER = (
    "no two points share batches: batch_size, epochs, passes_per_epoch, validate_every and seed of training must be "
    "equal"
)
# Enough points to judge whether others will be alike.
_N_PREVIEWED = 64


@dataclass(frozen=True)
class Packing:
    """Whether the points of a sweep train in packs: decided once a sweep.

    `why_single` is the reason why each point trains by itself; None if points are packed.
    """

    why_single: str | None

    @property
    def is_packed(self) -> bool:
        """Whether any points share a pack."""
        return self.why_single is None

    def largest(self, *, on_gpu: bool) -> int:
        """Return the maximum number of points in a pack: 1 if points are not packed."""
        if not self.is_packed:
            return 1
        return _LARGEST_ON_GPU if on_gpu else _LARGEST_ON_CPU


def decide_packing(sweep: SweepConfig) -> Packing:
    """Return whether a sweep's points train in packs, judged by the first points that its searcher proposes."""
    return Packing(_forbidden_by_settings(sweep) or _forbidden_by_points(sweep))


def batches_of(sweep: SweepConfig, trial: TrialConfig) -> Hashable | None:
    """Return the key shared by trials with the same batches, which can share a pack; None for no pack."""
    if _forbidden_by_settings(sweep) is not None:
        return None
    training = trial.training
    batches = training.batch_size, training.passes_per_epoch, training.epochs, training.validate_every
    return trial.model.pretraining_batches, batches, draws_seed(sweep, trial)


def draws_seed(sweep: SweepConfig, trial: TrialConfig) -> int:
    """Return the seed of a trial's batches and noise: its own, or the sweep's with `execution: packed`."""
    return sweep.training.seed if sweep.execution == "packed" else trial.training.seed


def packs(
    items: Iterable[ItemT], alike: Callable[[ItemT], Hashable | None], *, largest: int, concurrency: int
) -> list[list[ItemT]]:
    """Divide items among workers: packs of items with the same key, as large as keeps all workers busy.

    `alike` gives an item's key; an item whose key is None is a pack by itself. Packs are in the order of their first
    items.
    """
    groups: dict[Hashable, list[ItemT]] = defaultdict(list)
    for number, item in enumerate(items):
        key = alike(item)
        groups[("alone", number) if key is None else ("alike", key)].append(item)
    n_items = sum(len(group) for group in groups.values())
    n_packs = math.ceil(n_items / (largest * concurrency)) * concurrency  # the same number for each worker
    return [part for group in groups.values() for part in _parts(group, math.ceil(len(group) * n_packs / n_items))]


def _forbidden_by_settings(sweep: SweepConfig) -> str | None:
    if sweep.execution == "single":
        return "execution is single"
    if sweep.stopping.stops_trials and halving(sweep) is None:
        remedy = " (set execution: packed to compare within packs)" if sweep.stopping.pack_reduction_factor else ""
        return f"stopping.name {sweep.stopping.name} compares all trials{remedy}"
    return None


def _forbidden_by_points(sweep: SweepConfig) -> str | None:
    points = point_searcher(sweep).preview(_N_PREVIEWED)
    if len(points) == 1:
        return "the sweep has one trial"
    sizes = Counter(batches_of(sweep, sweep.trial_at(point)) for point in points)
    if any(n_alike > 1 for n_alike in sizes.values()):
        return None
    return ALL_DIFFER


def _parts(items: Sequence[ItemT], n_parts: int) -> list[list[ItemT]]:
    """Consecutive parts whose lengths differ by at most one, none empty."""
    n_parts = min(n_parts, len(items))
    ends = [len(items) * number // n_parts for number in range(n_parts + 1)]
    return [list(items[start:end]) for start, end in pairwise(ends)]
