"""Each family learns real digits."""

import numpy as np
import pytest
import torch
from metric_references import references
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from sweeps.models.build import Phase, build_phases
from sweeps.models.config import DeepConfig, ModelConfig, ShallowConfig, StackedDenoisingConfig, TrainingConfig
from sweeps.models.metrics import References

N_TRAIN = 1400


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return torch.from_numpy((data.data[order] / 16).astype(np.float32)), torch.from_numpy(data.target[order])


@pytest.fixture(scope="module")
def reference(digits: tuple[Tensor, Tensor]) -> References:
    inputs: NDArray[np.float32] = digits[0].numpy()
    return references(inputs[:N_TRAIN], inputs[N_TRAIN:], 1.0)


def train(fit, batches, model: ModelConfig, training: TrainingConfig, digits, reference) -> Phase:  # type: ignore[no-untyped-def]
    pixels, labels = digits
    phases = build_phases(model, training, input_size=64, n_classes=10, references=reference)
    for phase in phases:
        with torch.no_grad():
            inputs = pixels if phase.inputs is None else phase.inputs(pixels)
        fit(
            phase.member,
            batches(inputs[:N_TRAIN], labels[:N_TRAIN], size=phase.batch_size),
            batches(inputs[N_TRAIN:], labels[N_TRAIN:], size=4096, shuffle=False),
            epochs=phase.epochs,
            validate_every=phase.validate_every,
        )
    return phases[-1]


def test_a_linear_shallow_network_approaches_pca_from_above(fit, batches, digits, reference) -> None:  # type: ignore[no-untyped-def]
    model = ShallowConfig(hidden_size=16, activation="linear")
    training = TrainingConfig(epochs=30, batch_size=64, learning_rate=0.01, validate_every=30)

    metrics = train(fit, batches, model, training, digits, reference).member.metrics

    assert metrics["valid/r2"] > 0.8
    assert 0.99 < metrics["valid/mse_over_pca"] < 1.1


def test_a_deep_network_beats_pca_of_its_code_size(fit, batches, digits, reference) -> None:  # type: ignore[no-untyped-def]
    model = DeepConfig(hidden_sizes=(64, 32), code_size=4, activation="elu", output_activation="sigmoid")
    training = TrainingConfig(epochs=30, batch_size=64, learning_rate=0.005, validate_every=30)

    metrics = train(fit, batches, model, training, digits, reference).member.metrics

    assert metrics["valid/mse_over_pca"] < 0.85


def test_a_stack_classifies_digits(fit, batches, digits, reference) -> None:  # type: ignore[no-untyped-def]
    model = StackedDenoisingConfig.model_validate(
        {"hidden_sizes": (100, 50), "noise": {"level": (0.1, 0.2)}, "pretraining": {"epochs": 5, "batch_size": 32}}
    )
    training = TrainingConfig(epochs=10, batch_size=32, learning_rate=0.003, validate_every=10)

    metrics = train(fit, batches, model, training, digits, reference).member.metrics

    assert metrics["valid/classification_error"] < 0.05


def test_pretraining_improves_the_reconstruction_of_a_stack(fit, batches, digits, reference) -> None:  # type: ignore[no-untyped-def]
    training = TrainingConfig(epochs=3, batch_size=32, validate_every=3)
    errors = []
    for epochs in (0, 5):
        model = StackedDenoisingConfig.model_validate(
            {
                "hidden_sizes": (100, 50),
                "noise": {"level": 0.1},
                "fine_tuning": "reconstruction",
                "pretraining": {"epochs": epochs, "batch_size": 32, "learning_rate": 0.003},
            }
        )
        errors.append(train(fit, batches, model, training, digits, reference).member.metrics["valid/mse"])

    assert errors[1] < 0.8 * errors[0]
