"""One linear layer learns the identity; the published experiment with 84 features is the recipe identity-uniform84."""

import pytest
import torch
from pydantic import ValidationError

from sweeps.models.build import build_network, build_phases
from sweeps.models.config import LinearConfig, TrainingConfig


def test_a_linear_network_is_one_matrix_and_a_bias() -> None:
    network = build_network(LinearConfig(), input_size=5, n_classes=None, seed=0)
    x = torch.rand(3, 5)

    assert [tuple(parameter.shape) for parameter in network.parameters()] == [(5, 5), (5,)]
    torch.testing.assert_close(network(x).reconstruction, x @ network.first_layer_filters().T)
    torch.testing.assert_close(network.decode(network.encode(x)), network(x).reconstruction)


def test_the_identity_as_initial_weights_loses_nothing() -> None:
    model = LinearConfig(initialization="identity")
    (phase,) = build_phases(model, TrainingConfig(), input_size=84, n_classes=None)

    assert phase.member.objective([torch.rand(80, 84)], torch.Generator()).item() <= 1e-12


def test_weights_trained_long_on_uniform_features_are_the_identity(fit, batches) -> None:  # type: ignore[no-untyped-def]
    inputs = torch.rand(800, 5, generator=torch.Generator().manual_seed(0))
    training = TrainingConfig(epochs=150, batch_size=10, optimizer="sgd", learning_rate=0.1)
    (phase,) = build_phases(LinearConfig(), training, input_size=5, n_classes=None)

    fit(phase.member, batches(inputs, size=10), epochs=training.epochs)

    error = phase.member.network.first_layer_filters() - torch.eye(5)
    assert error.abs().max().item() < 5e-4


@pytest.mark.parametrize("setting", [{"hidden_l1": 0.1}, {"tied_weights": True}, {"activation": "relu"}])
def test_settings_of_missing_layers_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LinearConfig.model_validate(setting)
