"""The yardstick as public examples would have it: `peer.py POINTS TRACKING_URI` prints the seconds of `Tuner.fit`.

One process a trial, as Ray Tune has it by default; a DataLoader over a TensorDataset that shuffles; plain PyTorch, a
report an epoch, and Ray's own callback for MLflow. Nothing that the examples do not do: no figures, no diagnosis.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

N_TRAIN = 8000  # images; those that are left are for validation


def images(folder: Path) -> tuple[Tensor, Tensor]:
    """All images, scaled to [0, 1]: for training and for validation, (images, 784) each."""
    pixels = torch.from_numpy(np.load(folder / "images.npy")).float() / 255
    return pixels[:N_TRAIN], pixels[N_TRAIN:]


def train(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    inputs, valid = images(Path(config["folder"]))
    loader = DataLoader(TensorDataset(inputs), batch_size=128, shuffle=True)
    valid_loader = DataLoader(TensorDataset(valid), batch_size=128)
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
        squared = 0.0
        with torch.no_grad():
            for (clean,) in valid_loader:
                output = torch.sigmoid(decoder(torch.sigmoid(encoder(clean))))
                squared += functional.mse_loss(output, clean).item() * len(clean)
        tune.report({"train_loss": loss_sum / N_TRAIN, "valid_mse": squared / len(valid)})


def main() -> None:
    points, folder, tracking_uri = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[1]).parent, sys.argv[2]
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"point": tune.grid_search(points), "folder": str(folder)},
        tune_config=tune.TuneConfig(metric="valid_mse", mode="min"),
        run_config=tune.RunConfig(
            storage_path=str(folder / "ray_results"),
            callbacks=[MLflowLoggerCallback(tracking_uri=tracking_uri, experiment_name="peer")],
            verbose=0,
        ),
    )
    begun = time.perf_counter()
    grid = tuner.fit()
    assert not grid.errors, grid.errors
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
