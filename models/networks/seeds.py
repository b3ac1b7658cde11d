"""Random generators that a seed and a purpose decide, so that PyTorch's global one is neither used nor disturbed."""

import numpy as np
import torch

WEIGHTS = 0
TRAINING_NOISE = 1
VALIDATION_NOISE = 2


def seeded_generator(seed: int, *stream: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`; different streams of one seed (purpose, phase, epoch ...) are independent."""
    state = np.random.SeedSequence(seed, spawn_key=stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
