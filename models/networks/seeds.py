"""Random generators for a seed and a purpose, so that PyTorch's global generator is neither used nor changed."""

import numpy as np
import torch

WEIGHTS = 0
TRAINING_NOISE = 1
VALIDATION_NOISE = 2
OWN_DRAWS = 3  # what a plug-in network draws in training, such as dropout


def seeded_generator(seed: int, *stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator on `device`. The streams of a seed (purpose, phase, epoch, ...) are independent."""
    state = np.random.SeedSequence(seed, spawn_key=stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
