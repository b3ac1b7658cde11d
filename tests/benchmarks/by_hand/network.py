"""What both sweeps by hand need: the network as a LightningModule, the digits as DataLoaders, a figure of filters."""

from typing import Any

import pytorch_lightning as lightning
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class Autoencoder(lightning.LightningModule):
    """One sigmoid hidden layer on inputs with masking noise, and L1 penalties on the code and on the weights."""

    def __init__(
        self, n_inputs: int, *, hidden_size: int, noise: float, hidden_l1: float, weight_l1: float = 0.0
    ) -> None:
        super().__init__()
        self.noise, self.hidden_l1, self.weight_l1 = noise, hidden_l1, weight_l1
        self.encoder = nn.Linear(n_inputs, hidden_size)
        self.decoder = nn.Linear(hidden_size, n_inputs)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Code and reconstruction."""
        code = torch.sigmoid(self.encoder(images))
        return code, torch.sigmoid(self.decoder(code))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        (clean,) = batch
        code, output = self(clean * (torch.rand_like(clean) > self.noise))
        loss: Tensor = functional.mse_loss(output, clean) + self.hidden_l1 * code.abs().mean()
        if self.weight_l1:
            weights = (self.encoder.weight.abs().mean() + self.decoder.weight.abs().mean()) / 2
            loss = loss + self.weight_l1 * weights
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor]) -> None:
        (clean,) = batch
        self.log("valid_mse", functional.mse_loss(self(clean)[1], clean))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def digits_loaders() -> tuple[DataLoader[Any], DataLoader[Any]]:
    """DataLoaders of 1,000 digits for training and of 500 for validation, 64 pixels from 0 to 1."""
    pixels = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]
    train, valid = TensorDataset(pixels[:1000]), TensorDataset(pixels[1000:1500])
    return DataLoader(train, batch_size=4, shuffle=True), DataLoader(valid, batch_size=500)


def filters(model: Autoencoder) -> Figure:
    """The weights of each hidden unit as an 8x8 image."""
    figure = Figure(figsize=(8, 8))
    for unit, weights in enumerate(model.encoder.weight.detach()):
        axes = figure.add_subplot(8, 8, unit + 1)
        axes.imshow(weights.reshape(8, 8), cmap="gray")
        axes.axis("off")
    return figure
