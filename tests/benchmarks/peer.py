"""The yardstick written as in public examples: `peer.py POINTS TRACKING_URI` prints the seconds of `Tuner.fit`.

One process per trial, Ray Tune's default; a shuffling DataLoader over a TensorDataset; Lightning as
Ray's example `mnist_ptl_mini` sets it up, a report per epoch, and Ray's own callback for MLflow. Like the
examples, it makes no figures and no diagnosis. `peer.py POINTS TRACKING_URI plain` trains in plain PyTorch instead.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import ray
import torch
from by_hand.network import Autoencoder
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

N_TRAIN = 8000  # images; the rest are for validation


def images(folder: Path) -> tuple[Tensor, Tensor]:
    """Training and validation images scaled to [0, 1], (images, 784) each."""
    pixels = torch.from_numpy(np.load(folder / "images.npy")).float() / 255
    return pixels[:N_TRAIN], pixels[N_TRAIN:]


def loaders(folder: Path) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """DataLoaders for training and for validation."""
    inputs, valid = images(folder)
    return DataLoader(TensorDataset(inputs), batch_size=128, shuffle=True), DataLoader(TensorDataset(valid), 128)


def autoencoder(point: dict[str, Any]) -> Autoencoder:
    """784-h-784 on corrupted images, with both penalties."""
    return Autoencoder(
        784,
        hidden_size=point["model.hidden_size"],
        noise=point["model.noise.level"],
        hidden_l1=point["model.hidden_l1"],
        weight_l1=point["model.weight_l1"],
    )


def train(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    loader, valid_loader = loaders(Path(config["folder"]))
    report = TuneReportCheckpointCallback(["train_loss", "valid_mse"], on="train_epoch_end", save_checkpoints=False)
    trainer = lightning.Trainer(max_epochs=5, accelerator="cpu", enable_progress_bar=False, callbacks=[report])
    trainer.fit(autoencoder(config["point"]), loader, valid_loader)


def train_plainly(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    loader, valid_loader = loaders(Path(config["folder"]))
    point = config["point"]
    encoder, decoder = nn.Linear(784, point["model.hidden_size"]), nn.Linear(point["model.hidden_size"], 784)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(5):
        loss_sum = 0.0
        for (clean,) in loader:
            noisy = clean * (torch.rand_like(clean) > point["model.noise.level"])
            code = torch.sigmoid(encoder(noisy))
            loss = functional.mse_loss(torch.sigmoid(decoder(code)), clean)
            weights = (encoder.weight.abs().mean() + decoder.weight.abs().mean()) / 2
            loss = loss + point["model.weight_l1"] * weights + point["model.hidden_l1"] * code.abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(clean)
        squared, n_valid = 0.0, 0
        with torch.no_grad():
            for (clean,) in valid_loader:
                output = torch.sigmoid(decoder(torch.sigmoid(encoder(clean))))
                squared += functional.mse_loss(output, clean).item() * len(clean)
                n_valid += len(clean)
        tune.report({"train_loss": loss_sum / N_TRAIN, "valid_mse": squared / n_valid})


def main() -> None:
    points, folder, tracking_uri = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[1]).parent, sys.argv[2]
    trainable = train_plainly if "plain" in sys.argv[3:] else train
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"point": tune.grid_search(points), "folder": str(folder)},
        tune_config=tune.TuneConfig(metric="valid_mse", mode="min"),
        run_config=tune.RunConfig(
            storage_path=str(folder / "ray_results"),
            callbacks=[MLflowLoggerCallback(tracking_uri=tracking_uri, experiment_name="peer")],
            verbose=0,
        ),
    )
    start = time.perf_counter()
    grid = tuner.fit()
    assert not grid.errors, grid.errors
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
