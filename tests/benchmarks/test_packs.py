"""The speed-up of a pack's training step.

`pytest -m benchmark -n 0 -s tests/benchmarks/test_packs.py` prints the ratios.

Times are CPU seconds of the process, because other processes may use the machine; the variants take turns.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import pytest
import torch

from sweeps.models.build import build_phases
from sweeps.models.config import ShallowConfig, TrainingConfig
from sweeps.models.networks.corruption import SharedDraws
from sweeps.models.networks.seeds import seeded_generator
from sweeps.models.training.learners import alike, learner_of
from sweeps.models.training.member import Trainee

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

N_ROUNDS = 7
N_STEPS = 12
HIDDEN_SIZES = (16, 32, 64)
MODEL = {"activation": "sigmoid", "output_activation": "sigmoid", "weight_l1": 1e-5, "hidden_l1": 1e-4}


def epoch_of(
    sizes: tuple[int, ...], n_features: int, batch_size: int, *, stacks: bool, shared: bool
) -> Callable[[], None]:
    """Some steps of shallow networks; without `shared` each draws its own batch and noise, as it would alone."""
    inputs = torch.rand(2000, n_features)
    trainees = []
    for index, size in enumerate(sizes):
        model = ShallowConfig(hidden_size=size, noise={"level": 0.1 + 0.02 * index}, **MODEL)  # type: ignore[arg-type]
        (phase,) = build_phases(model, TrainingConfig(), input_size=n_features, n_classes=None)
        trainees.append(Trainee(index, phase.member, phase.member.torch_optimizer()))
    groups = [trainees] if shared else [[trainee] for trainee in trainees]
    packs = [[learner_of(members) for members in alike(group, stacks=stacks)] for group in groups]
    for learner in (learner for pack in packs for learner in pack):
        learner.start_epoch(0, 1, seeded_generator(0))

    def train() -> None:
        for pack in packs:
            draws = SharedDraws(lambda: seeded_generator(0))
            for step in range(N_STEPS):
                batch = inputs.index_select(0, torch.arange(step * 7, step * 7 + batch_size))
                draws.next_batch()
                for learner in pack:
                    learner.step([(batch,)] * len(sizes), draws)

    return train


def seconds(variants: Mapping[str, Callable[[], None]]) -> dict[str, float]:
    """The CPU seconds of each variant: the median over rounds in which they take turns."""
    elapsed: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(N_ROUNDS):
        for name, train in variants.items():
            start = time.process_time()
            train()
            elapsed[name].append(time.process_time() - start)
    return {name: median(values) for name, values in elapsed.items()}


@pytest.mark.parametrize("n_members", [8, 16])
@pytest.mark.parametrize(("n_features", "batch_size"), [(64, 32), (64, 128), (784, 20), (784, 128)])
@pytest.mark.parametrize("sizes", [(16,), (64,), HIDDEN_SIZES], ids=str)
def test_steps_of_a_pack(
    results: dict[str, Any],
    table: Callable[[str, str, str], None],
    sizes: tuple[int, ...],
    n_features: int,
    batch_size: int,
    n_members: int,
) -> None:
    torch.set_num_threads(1)
    member_sizes = tuple(sizes[index % len(sizes)] for index in range(n_members))
    elapsed = seconds(
        {
            "alone": epoch_of(member_sizes, n_features, batch_size, stacks=False, shared=False),
            "side by side": epoch_of(member_sizes, n_features, batch_size, stacks=False, shared=True),
            "stacked": epoch_of(member_sizes, n_features, batch_size, stacks=True, shared=True),
        }
    )
    gains = {name: round(elapsed["alone"] / value, 2) for name, value in elapsed.items() if name != "alone"}
    milliseconds = 1000 * elapsed["alone"] / N_STEPS / n_members
    shape = f"{n_features}-{'/'.join(map(str, sizes))}-{n_features}, batch {batch_size}, {n_members} members"
    results[shape] = gains | {"alone_ms_a_step": round(milliseconds, 3)}
    table(f"steps ÷ alone, {shape}: {', '.join(gains)}", ", ".join(f"{gain:.2f}" for gain in gains.values()), "")
