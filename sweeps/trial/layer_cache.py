"""Pretrained layers that points share: trained once, cached under a digest of the settings that determine them."""

import fcntl
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from sweeps.config import SweepConfig
from sweeps.config.search_space import Choices, Interval
from sweeps.models import tensor_file
from sweeps.models.errors import ModelError
from sweeps.models.training.layer_digest import layer_digest
from sweeps.search.packing import draws_seed
from sweeps.storage import atomic_write, earlier_names
from sweeps.storage.object_store import Place, RemotePath
from sweeps.storage.private_files import make_folder, open_file, user_folder
from sweeps.trial.point import PointTraining


@dataclass(frozen=True)
class TrainedLayer:
    """The parameters of a layer's autoencoder, and the metrics of each epoch of its training."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    parameters: dict[str, Tensor]
    metrics: list[dict[str, float]]


_LAYER = TypeAdapter(TrainedLayer)


class LayerStore:
    """Layers in a folder that all workers share; each file is written atomically by one of them."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def load(self, key: str) -> TrainedLayer | None:
        """Return the layer of a key; None if it is missing or unreadable."""
        for path in (self._path(key), earlier_names.earlier_name(self._path(key))):
            try:
                return _LAYER.validate_python(tensor_file.read(path, "a layer"))
            except (OSError, ModelError, ValidationError):
                continue
        return None

    def save(self, key: str, layer: TrainedLayer) -> None:
        """Save a layer. On a full disk it is not saved, and every point that needs it trains it."""
        content = tensor_file.dumps({"parameters": layer.parameters, "metrics": layer.metrics})
        atomic_write.write(self._path(key), content)

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Lock the layer of a key for this process; yield False if another process holds it. A crash unlocks it.

        In an object store, which has no locks, the lock holds on this host alone: two hosts may train the same layer.
        """
        folder = self._folder if isinstance(self._folder, Path) else _local_folder(self._folder)
        make_folder(folder)
        with os.fdopen(open_file(folder / f"{key}.lock", os.O_WRONLY | os.O_CREAT), "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _path(self, key: str) -> Place:
        return self._folder / f"{key}.safetensors"


class LayerCache:
    """Let the points of a sweep share pretrained layers: one of them trains a layer, the others adopt it."""

    def __init__(self, store: LayerStore, sweep: SweepConfig) -> None:
        self._store = store
        self._sweep = sweep

    @contextmanager
    def claim(self, trainings: Sequence[PointTraining], index: int) -> Iterator[list[PointTraining]]:
        """Yield the points that must train phase `index` now; save the layers that they trained.

        These are the points that share no layer, and one for each layer that nobody has trained or is training.
        """
        sharers, unshared = self._by_layer(trainings, index)
        with ExitStack() as claims:
            claimed = [key for key in sorted(sharers) if claims.enter_context(self._store.claim(key))]
            leaders = {key: sharers[key][0] for key in claimed if self._load(key, sharers[key][0], index) is None}
            yield [*unshared, *leaders.values()]
            for key, leader in leaders.items():
                if not leader.has_ended:
                    self._store.save(
                        key, TrainedLayer(_layer(leader, index).state_dict(), leader.recorder.phase_metrics)
                    )

    def adopt(self, trainings: Sequence[PointTraining], index: int) -> list[PointTraining]:
        """Give each point the layer of phase `index` where one has been trained; return the points still waiting."""
        waiting = []
        sharers, _ = self._by_layer(trainings, index)
        for key, group in sharers.items():
            layer = self._load(key, group[0], index)
            for training in group:
                if layer is None:
                    waiting.append(training)
                else:
                    _adopt(training, index, layer)
        return waiting

    def _load(self, key: str, training: PointTraining, index: int) -> TrainedLayer | None:
        """Return the layer of a key; None if it is missing, unreadable or not the one that the phase trains."""
        layer = self._store.load(key)
        if layer is None or len(layer.metrics) != training.phases[index].epochs:
            return None
        expected = _layer(training, index).state_dict()
        return layer if tensor_file.difference(layer.parameters, expected) is None else None

    def _by_layer(
        self, trainings: Sequence[PointTraining], index: int
    ) -> tuple[dict[str, list[PointTraining]], list[PointTraining]]:
        """Group points by the layer they share in a phase; the second list shares none."""
        sharers: dict[str, list[PointTraining]] = defaultdict(list)
        unshared: list[PointTraining] = []
        for training in trainings:
            key = layer_key(training, index, self._sweep)
            (unshared if key is None else sharers[key]).append(training)
        return sharers, unshared


def layer_key(training: PointTraining, index: int, sweep: SweepConfig) -> str | None:
    """Return the digest of the settings that determine a phase's layer; None if no other point can use it."""
    settings = training.phases[index].layer_settings
    if settings is None or training.resumes_in(index) or not can_recur(sweep):
        return None
    return layer_digest(settings, training.trial.training.seed, draws_seed(sweep, training.trial))


def can_recur(sweep: SweepConfig) -> bool:
    """Return whether points can share a layer: no setting that determines it has more values than there are points."""
    deciding = [values for path, values in sweep.search.items() if path.startswith("model.") or path == "training.seed"]
    return sweep.n_trials > 1 and all(_n_values(values) <= sweep.n_trials for values in deciding)


def _n_values(values: Interval | Choices) -> float:
    if isinstance(values, Choices):
        return 1  # several points can have the same listed value
    return values.high - values.low + 1 if values.is_whole else math.inf


def _adopt(training: PointTraining, index: int, layer: TrainedLayer) -> None:
    phase, recorder = training.phases[index], training.recorder
    device = next(phase.member.network.parameters()).device
    training.start_phase(index)
    with phase.member.alone():
        recorder.begin_training(phase.member.objective, 0, device)
        _layer(training, index).load_state_dict(layer.parameters)
        if phase.finish is not None:
            phase.finish()
        recorder.adopt_phase(layer.metrics, device)
    if phase.member.error is not None:
        recorder.fail(phase.member.error)


def _layer(training: PointTraining, index: int) -> torch.nn.Module:
    """Return the autoencoder of the layer that a phase trains."""
    layer = training.phases[index].layer
    assert layer is not None, "a phase without a layer has no key"
    return layer


def _local_folder(folder: RemotePath) -> Path:
    return user_folder() / sha256(str(folder).encode()).hexdigest()[:16]
