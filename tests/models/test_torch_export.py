"""Networks are exported for batches of any size, from operators that torch alone has."""

import pytest
import torch
from torch import Tensor, nn

from sweeps.models.errors import ModelError
from sweeps.models.torch_export import exported


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, 2 * x], dim=1)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class OneSize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ones(2, 1)


@torch.library.custom_op("test_torch_export::halved", mutates_args=())
def halved(x: Tensor) -> Tensor:
    return x / 2


@halved.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Foreign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return halved(x)


@pytest.mark.parametrize("n_samples", [1, 2, 5])
def test_an_export_takes_batches_of_any_size(n_samples: int) -> None:
    samples = torch.arange(3.0 * n_samples).reshape(n_samples, 3)
    assert exported(Doubled(), torch.ones(2, 3))(samples).equal(Doubled()(samples))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Branching(), "torch.export raised "),
        (OneSize(), "torch.export raised "),
        (Foreign(), "it uses operators that torch alone does not have: test_torch_export.halved.default"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_network_that_others_could_not_load_is_refused_in_one_line(network: nn.Module, words: str) -> None:
    with pytest.raises(ModelError) as refused:
        exported(network, torch.ones(2, 3))
    (line,) = refused.value.issues
    assert line.startswith(words)
    assert "\n" not in line
