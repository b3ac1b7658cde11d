"""What a network does to its raw input before the first layer, and undoes on its output."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweeps.models.config import Standardization
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.networks.standardize import Standardized, relative, standardize


class Preprocessing(nn.Module):
    """Fills missing values, and standardises by `sample`, by `feature` or not at all.

    `mean` and `deviation`, (features,) each, are those of the training split: buffers, so that they are part of every
    copy of the network. A network that needs neither has no buffers. `fills_missing`: NaN in the input is taken for the
    feature's mean.

    With `feature`, errors are measured in units of each feature's deviation; see `Activations.error`. A feature that is
    constant in training, with a deviation of 0, is reconstructed as its mean and has an error of 0.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_features: int, standardization: Standardization = "none") -> None:
        super().__init__()
        self.standardization = standardization
        self.fills_missing = False
        self._n_features = n_features
        if self.scales_features:
            self.register_buffer("mean", torch.zeros(n_features))
            self.register_buffer("deviation", torch.zeros(n_features))

    @property
    def scales_features(self) -> bool:
        """Whether it standardises each feature by the training split."""
        return self.standardization == "feature"

    def fill_missing(self) -> None:
        """Take NaN for the feature's mean from now on."""
        self.fills_missing = True
        if not self.scales_features:
            self.register_buffer("mean", torch.zeros(self._n_features))

    def set_statistics(self, statistics: FeatureStatistics) -> None:
        """Keep the statistics of the training split that this preprocessing needs."""
        if statistics.has_missing:
            self.fill_missing()
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.from_numpy(getattr(statistics, name)))

    def forward(self, x: Tensor) -> tuple[Tensor, Standardized | None]:
        """Return the first layer's input, (batch, features), and what restores samples that are standardised."""
        filled = self.filled(x)
        if self.standardization != "sample":
            return filled, None
        standardized = standardize(filled, ~x.isnan() if self.fills_missing else None)
        return standardized.values, standardized

    def filled(self, x: Tensor) -> Tensor:
        """Return raw values (batch, features) in the units of errors, with a feature's mean for each missing one."""
        values = self.scaled(x)
        if not self.fills_missing:
            return values
        return values.where(~values.isnan(), 0.0 if self.scales_features else self.mean)

    def scaled(self, x: Tensor) -> Tensor:
        """Return raw values (batch, features) in the units of errors: standardised by feature, or as they are."""
        return relative(x - self.mean, self.deviation) if self.scales_features else x

    def unscaled(self, values: Tensor) -> Tensor:
        """Return values in the units of errors, (batch, features), as raw values."""
        return torch.addcmul(self.mean, values, self.deviation) if self.scales_features else values

    def varying(self, values: Tensor) -> Tensor:
        """Return values (batch, features) with 0 for the features that are constant in training."""
        return values.where(self.deviation > 0, 0.0) if self.scales_features else values

    def corrupted(self, x: Tensor, corrupt: Callable[[Tensor], Tensor]) -> Tensor:
        """Corrupt raw values (batch, features), in the units of errors: 0 is then a feature's mean."""
        return self.unscaled(corrupt(self.scaled(x)))
