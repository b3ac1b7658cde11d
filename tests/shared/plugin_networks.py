"""Networks as a user would write them, and some that break the contract of plug-ins."""

import threading

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sweeps.plugins import Activations, NetworkSettings, SampleShape


class ConvSettings(NetworkSettings):
    """A convolution and a linear code."""

    channels: int = Field(4, gt=0, le=64, description="Channels of the convolution.")
    code_size: int = Field(3, gt=0, le=1000, description="Units of the code.")


class Conv(nn.Module):
    Settings = ConvSettings

    def __init__(self, settings: ConvSettings, shape: SampleShape) -> None:
        super().__init__()
        self.shape = shape
        channels, height, width = shape.channels_first
        self.convolution = nn.Conv2d(channels, settings.channels, 3, padding=1)
        self.into = nn.Linear(settings.channels * height * width, settings.code_size)
        self.back = nn.Linear(settings.code_size, shape.n_features)

    def forward(self, x: Tensor) -> Activations:
        maps = self.convolution(self.shape.as_images(x)).relu()
        code = self.into(maps.flatten(1))
        return Activations(code=code, logits=self.decode(code), hidden=(maps, code))

    def decode(self, code: Tensor) -> Tensor:
        return self.back(code)


class Bare(nn.Module):
    """Without settings of its own."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__()
        self.into, self.back = nn.Linear(shape.n_features, 3), nn.Linear(3, shape.n_features)

    def code(self, x: Tensor) -> Tensor:
        return self.into(x).tanh()

    def forward(self, x: Tensor) -> Activations:
        code = self.code(x)
        return Activations(code, self.back(code))

    def first_layer_filters(self) -> Tensor:
        return self.into.weight

    def encoder_weights(self) -> list[Tensor]:
        return [self.into.weight]


class Dropout(Bare):
    """Draws at random in training."""

    def code(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().code(x), 0.5, self.training)


class Normalised(Bare):
    """Has buffers that training changes."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.norm = nn.BatchNorm1d(3)

    def code(self, x: Tensor) -> Tensor:
        return self.norm(super().code(x))


class Branching(Bare):
    """Depends on the data in a way that vmap cannot follow."""

    def code(self, x: Tensor) -> Tensor:
        code = super().code(x)
        return code if bool(code.sum() > 0) else 2 * code


class HalfFrozen(Bare):
    """Has a parameter that is not trained, which a stack would train."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.into.weight.requires_grad_(False)


class MovingAverage(Bare):
    """Replaces a buffer in training: a stack cannot follow that."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("average", torch.zeros(3))

    def code(self, x: Tensor) -> Tensor:
        code = super().code(x)
        if self.training:
            self.average = 0.9 * self.average + 0.1 * code.mean(dim=0).detach()
        return code - self.average


class Tuple(Bare):
    """Returns something else."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        code = self.code(x)
        return code, self.back(code)


class Narrow(Bare):
    """Reconstructs too few features."""

    def forward(self, x: Tensor) -> Activations:
        return super().forward(x)._replace(logits=self.back(self.code(x))[:, 1:])


class WrongCode(Conv):
    """Has another code than its settings say."""

    def forward(self, x: Tensor) -> Activations:
        activations = super().forward(x)
        return activations._replace(code=activations.code[:, 1:])


class OverTheBatch(Bare):
    """Lets a sample's output depend on the others in its batch."""

    def code(self, x: Tensor) -> Tensor:
        return super().code(x - x.mean(dim=0))


class AtRandom(Bare):
    """Draws at random also in evaluation."""

    def code(self, x: Tensor) -> Tensor:
        return super().code(x) + torch.rand(1)


class Unused(Bare):
    """Has a parameter without a gradient."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.idle = nn.Linear(2, 2)


class Unbounded(Bare):
    """Is not finite."""

    def code(self, x: Tensor) -> Tensor:
        return super().code(x) / 0


class Detached(Bare):
    """Gives penalties no way to the encoder."""

    def forward(self, x: Tensor) -> Activations:
        activations = super().forward(x)
        return activations._replace(code=activations.code.detach())


class Raises(Bare):
    """Cannot be built."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        raise RuntimeError("no such GPU")


class OtherSettings(Bare):
    class Settings:
        pass


class UndescribedSettings(NetworkSettings):
    width: int = 3


class Undescribed(Bare):
    Settings = UndescribedSettings


class NamedSettings(NetworkSettings):
    name: str = "mine"


class Named(Bare):
    Settings = NamedSettings


class NoModule:
    pass


class NumpyDropout(Bare):
    """Draws from another generator in training."""

    def code(self, x: Tensor) -> Tensor:
        code = super().code(x)
        return code * float(np.random.default_rng().uniform()) if self.training else code


class NumpyWeights(Bare):
    """Draws its initial weights from another generator."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.into.weight.data.mul_(float(np.random.default_rng().uniform()))


class FixedWeights(Bare):
    """Seeds PyTorch itself."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        torch.manual_seed(0)
        super().__init__(settings, shape)


class HiddenState(Bare):
    """Keeps state that is not part of a file."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.average = torch.zeros(3)

    def code(self, x: Tensor) -> Tensor:
        code = super().code(x)
        if self.training:
            self.average = code.mean(dim=0).detach()
        return code + self.average


class Uncopied:
    """Holds a module that copies share."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __deepcopy__(self, memo: object) -> "Uncopied":
        return self


class SharedWeights(Bare):
    """Shares its parameters with its copies."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.kept = Uncopied(self.into)

    def code(self, x: Tensor) -> Tensor:
        return self.kept.module(x).tanh()


class WrongFilters(Bare):
    """Has filters that are no images of the input."""

    def first_layer_filters(self) -> Tensor:
        return torch.zeros(3, 5)


class NoWeights(Bare):
    """Has nothing to penalise."""

    def weights(self) -> list[Tensor]:
        return []


class ParameterWeights(Bare):
    """Has a parameter of the name that a method may have, and decodes by a module."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.weights = nn.Parameter(torch.ones(3))
        self.decode = nn.Sequential(self.back)

    def code(self, x: Tensor) -> Tensor:
        return super().code(x) * self.weights


class VectorWeights(Bare):
    """Penalises biases and a single number too."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.gain = nn.Parameter(torch.ones(()))

    def code(self, x: Tensor) -> Tensor:
        return super().code(x) * self.gain

    def weights(self) -> list[Tensor]:
        return [self.into.weight, self.into.bias, self.gain]


class HoldsLock(Bare):
    """Holds what cannot be copied."""

    def __init__(self, settings: NetworkSettings, shape: SampleShape) -> None:
        super().__init__(settings, shape)
        self.lock = threading.Lock()
