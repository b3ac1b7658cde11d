"""Arrays of a network that only some figures show, measured at its best epoch.

A function has the name of its figure in `figures.table`. It takes the network, and `sample`, which returns that many
validation samples, (samples, features); it returns arrays by name, or none if the network has nothing to show.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sweeps.models.figures.table import N_CODES, N_FILTERS
from sweeps.models.networks import network as networks
from sweeps.models.networks.linear import LinearNetwork
from sweeps.models.networks.network import Network

Arrays = dict[str, NDArray[Any]]
Sample = Callable[[int], Tensor]

# A larger weight matrix has more entries than a figure has pixels.
_MAX_MATRIX = 1000


def encoder_product(network: Network, _sample: Sample) -> Arrays:
    """Return `product`, (units, features): that of the encoder's weight matrices, if there are several."""
    if len(network.encoder_weights()) < 2:
        return {}
    return {"product": as_array(networks.encoder_product(network, N_FILTERS))}


def codes(network: Network, sample: Sample) -> Arrays:
    """Return `codes`, (samples, 2), if the code has two units and is smaller than the input."""
    return {"codes": as_array(network.encode(sample(N_CODES)))} if network.code_size == 2 < network.input_size else {}


def weights(network: Network, _sample: Sample) -> Arrays:
    """Return `weights`, (outputs, inputs), of a linear network that is small enough to see its entries."""
    if not isinstance(network, LinearNetwork) or network.input_size > _MAX_MATRIX:
        return {}
    return {"weights": as_array(network.first_layer_filters())}


def as_array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a tensor as a float32 array on the CPU."""
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return array
