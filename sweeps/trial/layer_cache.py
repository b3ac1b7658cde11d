"""Pre-training that points of a sweep have in common, done once: layers are kept by what they were trained by."""

import fcntl
import io
import math
import os
import pickle
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from sweeps.config import SweepConfig
from sweeps.config.search_space import Choices, Interval
from sweeps.models.config import StackedDenoisingConfig
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.prefix import prefix_digest
from sweeps.search.packing import draws_seed
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place, RemotePath
from sweeps.trial.point import PointTraining

_POLL_SECONDS = 0.2

# Trains points together through one phase.
Fit = Callable[[Sequence[PointTraining]], None]


@dataclass(frozen=True)
class TrainedLayer:
    """The parameters of a layer's autoencoder, and what was measured in each epoch of its training."""

    parameters: dict[str, Tensor]
    metrics: list[dict[str, float]]


class LayerStore:
    """Layers in a folder that all workers share, each written whole by one of them."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def load(self, key: str) -> TrainedLayer | None:
        """The layer of this key; None where nobody has saved it, or it cannot be read."""
        try:
            content = torch.load(io.BytesIO(self._path(key).read_bytes()), map_location="cpu", weights_only=True)
            return TrainedLayer(content["parameters"], content["metrics"])
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError):
            return None

    def save(self, key: str, layer: TrainedLayer) -> None:
        """Keep a layer; on a full disk it is not kept, and trained again by whoever needs it."""
        content = io.BytesIO()
        torch.save({"parameters": layer.parameters, "metrics": layer.metrics}, content)
        atomic_write.write(self._path(key), content.getvalue())

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Be the only one to train the layer of this key; False where another process is. It ends with the process.

        In a store the only one of this host: nobody locks there, and a layer that is trained twice is the same.
        """
        folder = self._folder if isinstance(self._folder, Path) else _local(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{key}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _path(self, key: str) -> Place:
        return self._folder / f"{key}.pt"


def _local(folder: RemotePath) -> Path:
    return Path(tempfile.gettempdir()) / f"sweeps-{os.getuid()}-{sha256(str(folder).encode()).hexdigest()[:16]}"


def pretrain(trainings: Sequence[PointTraining], index: int, sweep: SweepConfig, store: LayerStore, fit: Fit) -> None:
    """Train points through a phase of pre-training by `fit`, but each layer that several agree on once.

    Where another process is at one, wait for it. A point that goes on in the middle of the phase trains by itself.
    """
    shared: dict[str, list[PointTraining]] = defaultdict(list)
    alone: list[PointTraining] = []
    for training in trainings:
        key = layer_key(training, index, sweep)
        (alone if key is None else shared[key]).append(training)
    while alone or shared:
        is_idle = not _train_claimed(alone, shared, index, store, fit)
        alone = []
        _adopt_saved(shared, index, store)
        if is_idle and shared:
            time.sleep(_POLL_SECONDS)


def layer_key(training: PointTraining, index: int, sweep: SweepConfig) -> str | None:
    """What decides the layer that a phase trains; None where it is of no use to another point of the sweep."""
    model = training.trial.model
    is_pretraining = isinstance(model, StackedDenoisingConfig) and index < len(training.phases) - 1
    if not is_pretraining or training.goes_on_in(index) or not can_recur(sweep):
        return None
    assert isinstance(model, StackedDenoisingConfig)
    return prefix_digest(model, index + 1, training.trial.training.seed, draws_seed(sweep, training.trial))


def can_recur(sweep: SweepConfig) -> bool:
    """Whether points can be expected to agree on a layer: what decides one takes fewer values than there are points."""
    deciding = [values for path, values in sweep.search.items() if path.startswith("model.") or path == "training.seed"]
    return sweep.n_trials > 1 and all(_n_values(values) <= sweep.n_trials for values in deciding)


def _n_values(values: Interval | Choices) -> float:
    if isinstance(values, Choices):
        return 1  # somebody who writes them down means them to be taken again
    return values.high - values.low + 1 if values.is_whole else math.inf


def _train_claimed(
    alone: Sequence[PointTraining], shared: dict[str, list[PointTraining]], index: int, store: LayerStore, fit: Fit
) -> bool:
    """Train, together, those alone and the first point of each layer that nobody else is at; False: there are none."""
    with ExitStack() as claims:
        claimed = [key for key in sorted(shared) if claims.enter_context(store.claim(key))]
        leaders = {key: shared[key].pop(0) for key in claimed if store.load(key) is None}
        together = [*alone, *leaders.values()]
        if together:
            fit(together)
        for key, leader in leaders.items():
            if not leader.has_ended:
                store.save(key, TrainedLayer(_layer(leader, index).state_dict(), leader.recorder.phase_metrics))
    return bool(together)


def _adopt_saved(shared: dict[str, list[PointTraining]], index: int, store: LayerStore) -> None:
    """Give each point its layer where that has been trained."""
    for key in list(shared):
        layer = store.load(key) if shared[key] else None
        if layer is not None:
            for training in shared[key]:
                _adopt(training, index, layer)
        if layer is not None or not shared[key]:
            del shared[key]


def _adopt(training: PointTraining, index: int, layer: TrainedLayer) -> None:
    phase, recorder = training.phases[index], training.recorder
    device = next(phase.member.network.parameters()).device
    training.start_phase(index)
    with phase.member.alone():
        recorder.begin(phase.member.objective, 0, device)
        _layer(training, index).load_state_dict(layer.parameters)
        if phase.finish is not None:
            phase.finish()
        recorder.adopt(layer.metrics, device)
    if phase.member.error is not None:
        recorder.fail(phase.member.error)


def _layer(training: PointTraining, index: int) -> torch.nn.Module:
    """The autoencoder of the layer that a phase trains."""
    network = training.phases[index].member.network
    assert isinstance(network, StackedDenoisingAutoencoder)
    return network.layer(index)
