import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweeps.models.networks.corruption import Noise, NoiseKind, apply_draw, corrupt, draw

KINDS: tuple[NoiseKind, ...] = ("masking", "gaussian", "salt_and_pepper")
N_VALUES = 200_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(n_values: int = N_VALUES) -> Tensor:
    """Values that no corruption produces: neither 0 nor 1."""
    return torch.linspace(0.1, 0.9, n_values).view(1, -1)


def assert_share(mask: Tensor, probability: float) -> None:
    """Check a binomial share within five standard deviations and 16-bit rounding."""
    deviation = np.sqrt(probability * (1 - probability) / mask.numel())
    assert mask.float().mean().item() == pytest.approx(probability, abs=5 * deviation + 2**-16)


@given(level=st.floats(0.001, 1), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_masking_sets_its_share_to_0_and_keeps_the_rest_as_it_is(level: float, seed: int) -> None:
    x = grey()

    noisy = corrupt(x, Noise("masking", level), generator(seed))

    assert_share(noisy == 0, level)
    assert torch.equal(noisy[noisy != 0], x[noisy != 0])


@given(level=st.floats(0.001, 1), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_salt_and_pepper_sets_its_share_to_0_or_1_with_equal_probability(level: float, seed: int) -> None:
    x = grey()

    noisy = corrupt(x, Noise("salt_and_pepper", level), generator(seed))

    changed = noisy != x
    assert_share(changed, level)
    assert_share(noisy == 0, level / 2)
    assert set(noisy[changed].unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("level", [0.05, 0.5, 3.0])
def test_gaussian_adds_normal_values_of_that_standard_deviation(level: float) -> None:
    x = grey()

    added = (corrupt(x, Noise("gaussian", level), generator()) - x).double()

    assert added.mean().item() == pytest.approx(0, abs=5 * level / np.sqrt(N_VALUES))
    assert added.std().item() == pytest.approx(level, rel=0.01)
    assert (added.abs() < level).double().mean().item() == pytest.approx(0.6827, abs=0.006)


def test_masking_of_neighbours_is_independent() -> None:
    masked = (corrupt(grey(), Noise("masking", 0.5), generator()) == 0).double().flatten()

    for lag in (1, 2, 3, 4):
        correlation = torch.corrcoef(torch.stack([masked[:-lag], masked[lag:]]))[0, 1]
        assert abs(correlation.item()) < 5 / np.sqrt(N_VALUES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_level_of_0_leaves_the_input_and_the_generator_alone(kind: NoiseKind) -> None:
    x, source = grey(10), generator()

    assert corrupt(x, Noise(kind, 0.0), source) is x
    assert torch.equal(source.get_state(), generator().get_state())


def test_a_level_of_1_corrupts_everything() -> None:
    x = grey()

    assert not corrupt(x, Noise("masking", 1.0), generator()).any()
    assert (corrupt(x, Noise("salt_and_pepper", 1.0), generator()) != x).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_corruption_leaves_its_input_unchanged_and_keeps_its_type(kind: NoiseKind, dtype: torch.dtype) -> None:
    x = grey(101).to(dtype)
    before = x.clone()

    noisy = corrupt(x, Noise(kind, 0.5), generator())

    assert noisy.dtype == dtype
    assert torch.equal(x, before)
    assert not torch.equal(noisy, before)


@pytest.mark.parametrize("kind", KINDS)
def test_corruption_uses_its_own_generator_not_the_global_one(kind: NoiseKind) -> None:
    before = torch.get_rng_state()
    source = generator(3)
    first, second = (corrupt(grey(100), Noise(kind, 0.5), source) for _ in range(2))

    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, corrupt(grey(100), Noise(kind, 0.5), generator(3)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", ["masking", "salt_and_pepper"])
@given(levels=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)))
@settings(deadline=None, max_examples=20)
def test_the_same_draw_at_a_higher_level_corrupts_a_superset(kind: NoiseKind, levels: tuple[float, float]) -> None:
    x = grey(2000)
    drawn = draw(x, kind, generator())
    low, high = (apply_draw(x, drawn, Noise(kind, level)) != x for level in sorted(levels))

    assert (low <= high).all()
