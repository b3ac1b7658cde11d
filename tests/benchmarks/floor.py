"""The yardstick's floor: `floor.py POINTS` trains the points of a JSON file in bare loops and prints the seconds.

Two single-threaded processes share the points. Nothing is recorded, and importing and loading data are not timed.
"""

import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

N_TRAIN = 8000  # images; the rest are for validation
BATCH_SIZE = 128
N_PROCESSES = 2


def images(folder: Path) -> tuple[Tensor, Tensor]:
    """Training and validation images scaled to [0, 1], (images, 784) each."""
    pixels = torch.from_numpy(np.load(folder / "images.npy")).float() / 255
    return pixels[:N_TRAIN], pixels[N_TRAIN:]


def train(point: dict[str, Any], inputs: Tensor, valid: Tensor, n_epochs: int = 5) -> float:
    """Train 784-h-784 on corrupted `inputs` with both penalties; return the last validation error."""
    hidden_size = point["model.hidden_size"]
    encoder, decoder = nn.Linear(784, hidden_size), nn.Linear(hidden_size, 784)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    error = 0.0
    for _ in range(n_epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), BATCH_SIZE):
            clean = inputs[order[start : start + BATCH_SIZE]]  # (batch, 784)
            noisy = clean * (torch.rand_like(clean) > point["model.noise.level"])
            code = torch.sigmoid(encoder(noisy))  # (batch, hidden_size)
            loss = functional.mse_loss(torch.sigmoid(decoder(code)), clean)
            weights = (encoder.weight.abs().mean() + decoder.weight.abs().mean()) / 2
            loss = loss + point["model.weight_l1"] * weights + point["model.hidden_l1"] * code.abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            error = functional.mse_loss(torch.sigmoid(decoder(torch.sigmoid(encoder(valid)))), valid).item()
    return error


def work(points: list[dict[str, Any]], folder: Path, barrier: Any) -> None:
    """Train one process's points once all processes are ready."""
    torch.set_num_threads(1)
    inputs, valid = images(folder)
    train(points[0], inputs[:BATCH_SIZE], valid, n_epochs=1)  # what torch does once
    barrier.wait()
    for point in points:
        train(point, inputs, valid)


def main() -> None:
    """Print the seconds from all processes being ready to all being done."""
    points, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[1]).parent
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(N_PROCESSES + 1)
    processes = [
        context.Process(target=work, args=(points[n::N_PROCESSES], folder, barrier)) for n in range(N_PROCESSES)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes)
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
