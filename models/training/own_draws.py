"""The training passes of plug-in networks, which may draw at random, for example in dropout."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from sweeps.models.networks.network import Network
from sweeps.models.networks.plugin import PluginNetwork
from sweeps.models.networks.seeds import OWN_DRAWS, seeded_generator


class OwnDraws:
    """Lets a plug-in's module train: in training mode, with PyTorch's generators seeded for it alone.

    What it draws depends only on the epoch's `generator`, so on the seed and the epoch, as noise does: not on other
    networks, nor on whether the training was resumed. Other networks draw nothing, and nothing is done for them.
    """

    def __init__(self, network: Network) -> None:
        self._network = network if isinstance(network, PluginNetwork) else None
        self._states: list[torch.Tensor] = []

    def start_epoch(self, generator: torch.Generator) -> None:
        """Begin an epoch with its own draws."""
        if self._network is None:
            return
        self._network.train_module(True)
        state = seeded_generator(generator.initial_seed(), OWN_DRAWS).get_state()
        self._states = [state, *(_seeded_state(device, generator) for device in self._devices())]

    def finish_epoch(self) -> None:
        """Return to evaluation mode."""
        if self._network is not None:
            self._network.train_module(False)

    def __call__(self) -> AbstractContextManager[None]:
        """Return a context in which PyTorch's generators are this network's; afterwards they are as before."""
        return nullcontext() if self._network is None else self._drawing()

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        devices = self._devices()
        with torch.random.fork_rng(devices):
            torch.set_rng_state(self._states[0])
            for device, state in zip(devices, self._states[1:], strict=True):
                torch.cuda.set_rng_state(state, device)
            try:
                yield
            finally:
                self._states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, devices)]

    def _devices(self) -> list[torch.device]:
        assert self._network is not None
        device = next(self._network.parameters()).device
        return [device] if device.type == "cuda" else []


def _seeded_state(device: torch.device, generator: torch.Generator) -> torch.Tensor:
    return seeded_generator(generator.initial_seed(), OWN_DRAWS, device=device).get_state()
