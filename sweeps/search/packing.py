"""Which points of a sweep are trained together, as packs. Plain Python: the driver loads no torch."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from sweeps.config import SweepConfig, TrialConfig
from sweeps.models.config import StackedDenoisingConfig
from sweeps.search.searchers import point_searcher
from sweeps.search.successive_halving import halving

ItemT = TypeVar("ItemT")

# On a CPU a pack of 8 has most of what packing gains there, and is lost or retried as one; a GPU takes what it has
# memory for, and where that ends the pack is divided (tests/benchmarks/test_packs.py measures both).
_LARGEST_ON_CPU, _LARGEST_ON_GPU = 8, 64
# Why points that could be packed are not.
ALL_DIFFER = (
    "no two of them take the same batches, for which batch_size, epochs, passes_per_epoch, validate_every and seed of "
    "training must be equal"
)
# As many points tell whether others will be alike.
_N_FIRST = 64


def why_single(sweep: SweepConfig) -> str | None:
    """What keeps the trials of a sweep out of packs; None where nothing does."""
    if sweep.execution == "single":
        return "execution is single"
    if sweep.stopping.stops_trials and halving(sweep) is None:
        return f"stopping.name {sweep.stopping.name} compares all trials (execution: packed compares those of a pack)"
    return None


def largest_pack(sweep: SweepConfig, *, on_gpu: bool) -> int:
    """How many points a Tune trial carries at most: 1 where none can be packed."""
    if why_single(sweep) is not None:
        return 1
    return _LARGEST_ON_GPU if on_gpu else _LARGEST_ON_CPU


def can_pack(sweep: SweepConfig) -> bool:
    """Whether any of a sweep's points share a pack, by the points that its range begins with."""
    keys = Counter(batches_of(sweep, sweep.trial_at(point)) for point in point_searcher(sweep).preview(_N_FIRST))
    return any(n_alike > 1 for key, n_alike in keys.items() if key is not None)


def batches_of(sweep: SweepConfig, trial: TrialConfig) -> Hashable | None:
    """What trials have in common that can take the same batches, and so share a pack; None for a trial that cannot."""
    if why_single(sweep) is not None:
        return None
    training = trial.training
    taken = training.batch_size, training.passes_per_epoch, training.epochs, training.validate_every
    return _pretraining(trial), taken, draws_seed(sweep, trial)


def _pretraining(trial: TrialConfig) -> Hashable:
    """What decides the batches of the phases before the last."""
    if not trial.n_pretraining_epochs or not isinstance(trial.model, StackedDenoisingConfig):
        return None
    pretraining = trial.model.pretraining
    return pretraining.epochs, pretraining.batch_size, len(trial.model.hidden_sizes)


def draws_seed(sweep: SweepConfig, trial: TrialConfig) -> int:
    """What decides a trial's batches and noise: its own seed, or with `execution: packed` that of the sweep."""
    return sweep.training.seed if sweep.execution == "packed" else trial.training.seed


def packs(
    items: Iterable[ItemT], alike: Callable[[ItemT], Hashable | None], *, largest: int, concurrency: int
) -> list[list[ItemT]]:
    """Divide items that come together among workers: packs of items that are `alike`, as large as keeps all at work.

    An item that is like none (None) is a pack of its own. Packs come in the order of their first items.
    """
    groups: dict[Hashable, list[ItemT]] = defaultdict(list)
    for number, item in enumerate(items):
        key = alike(item)
        groups[("alone", number) if key is None else ("alike", key)].append(item)
    n_items = sum(len(group) for group in groups.values())
    n_packs = math.ceil(n_items / (largest * concurrency)) * concurrency  # as many for each worker
    return [part for group in groups.values() for part in _parts(group, math.ceil(len(group) * n_packs / n_items))]


def _parts(items: Sequence[ItemT], n_parts: int) -> list[list[ItemT]]:
    """Consecutive parts, none empty, whose lengths differ by one at most."""
    n_parts = min(n_parts, len(items))
    ends = [len(items) * number // n_parts for number in range(n_parts + 1)]
    return [list(items[start:end]) for start, end in pairwise(ends)]
