"""A convolutional autoencoder, as a plug-in network: `model: {name: "conv_autoencoder:ConvAutoencoder"}`."""

from pydantic import Field
from torch import Tensor, nn

from sweeps.plugins import Activations, NetworkSettings, SampleShape


class ConvSettings(NetworkSettings):
    """Two strided convolutions and a linear code, mirrored by the decoder."""

    channels: int = Field(
        default=8, gt=0, le=512, description="Channels of the first convolution; the second has twice as many."
    )
    code_size: int = Field(default=16, gt=0, le=10_000, description="Units of the code.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Probability that a unit of the code is dropped in training."
    )


class ConvAutoencoder(nn.Module):
    """Images -> convolutions -> code -> transposed convolutions -> images."""

    Settings = ConvSettings

    def __init__(self, settings: ConvSettings, shape: SampleShape) -> None:
        super().__init__()
        self.shape = shape
        channels, height, width = shape.channels_first
        if height % 4 or width % 4:
            raise ValueError(f"height and width must be multiples of 4, not {height} and {width}")
        first, second = settings.channels, 2 * settings.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        n_maps = second * (height // 4) * (width // 4)
        self.into_code = nn.Linear(n_maps, settings.code_size)
        self.dropout = nn.Dropout(settings.dropout)
        self.decoder = nn.Sequential(
            nn.Linear(settings.code_size, n_maps),
            nn.ReLU(),
            nn.Unflatten(1, (second, height // 4, width // 4)),
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, channels, 4, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Activations:
        """Encode and decode samples (batch, features)."""
        maps = self.encoder(self.shape.as_images(x))
        code = self.into_code(maps)
        return Activations(code=code, logits=self.decode(self.dropout(code)), hidden=(maps, code))

    def decode(self, code: Tensor) -> Tensor:
        """Return the logits of a code: (batch, code_size) -> (batch, features)."""
        return self.shape.as_features(self.decoder(code))
