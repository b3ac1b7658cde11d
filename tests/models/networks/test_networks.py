import copy
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sweeps.models.config import Activation
from sweeps.models.networks.deep import DeepAutoencoder
from sweeps.models.networks.network import Layer, Network, initialise
from sweeps.models.networks.shallow import ShallowAutoencoder
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder

ACTIVATION_NAMES = get_args(Activation)


def seeded(network: Network, seed: int = 0) -> Network:
    initialise(network, torch.Generator().manual_seed(seed))
    with torch.no_grad():  # biases of 0 would hide a misplaced bias
        for index, parameter in enumerate(network.parameters()):
            if parameter.dim() == 1:
                parameter.copy_(torch.linspace(-0.3, 0.4, len(parameter)) + 0.01 * index)
    return network


def shallow(**settings: object) -> ShallowAutoencoder:
    return ShallowAutoencoder(6, 4, **settings)  # type: ignore[arg-type]


def deep(**settings: object) -> DeepAutoencoder:
    return DeepAutoencoder(6, (5, 4), 3, **settings)  # type: ignore[arg-type]


def stacked(**settings: object) -> StackedDenoisingAutoencoder:
    return StackedDenoisingAutoencoder(6, (5, 4, 3), **settings)  # type: ignore[arg-type]


NUMPY = {
    "linear": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid_first_row": lambda x: 1 / (1 + np.exp(-x)),  # only its derivative differs
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


@given(
    build=st.sampled_from([shallow, deep, stacked]),
    activation=st.sampled_from(ACTIVATION_NAMES),
    output_activation=st.sampled_from(["linear", "sigmoid"]),
    tied=st.booleans(),
    n_samples=st.integers(1, 7),
)
@settings(deadline=None, max_examples=60)
def test_a_pass_is_encode_then_decode(build, activation, output_activation, tied, n_samples):  # type: ignore[no-untyped-def]
    network = seeded(build(activation=activation, output_activation=output_activation, tied_weights=tied))
    x = torch.rand(n_samples, 6, generator=torch.Generator().manual_seed(n_samples))

    activations = network(x)

    assert activations.code.shape == (n_samples, network.code_size)
    assert any(hidden is activations.code for hidden in activations.hidden)
    torch.testing.assert_close(activations.code, network.encode(x))
    torch.testing.assert_close(activations.reconstruction, network.decode(activations.code))
    expected = NUMPY[output_activation](activations.logits.detach().double().numpy())
    np.testing.assert_allclose(activations.reconstruction.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_shallow_pass_follows_the_formula(activation: Activation, tied: bool) -> None:
    network = seeded(shallow(activation=activation, output_activation="sigmoid", tied_weights=tied))
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    x = np.random.default_rng(0).uniform(-1, 1, (5, 6)).astype(np.float32)

    hidden = NUMPY[activation](x @ state["encoder.weight"].T + state["encoder.bias"])
    decoder_weight = state["encoder.weight"] if tied else state["decoder.weight"].T
    expected = NUMPY["sigmoid"](hidden @ decoder_weight + state["decoder.bias"])

    np.testing.assert_allclose(network(torch.from_numpy(x)).reconstruction.detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_deep_network_of_linear_layers_is_the_product_of_its_matrices() -> None:
    network = seeded(deep(activation="linear", code_activation="linear", output_activation="linear"))
    x = torch.eye(6)

    product = torch.linalg.multi_dot([layer.weight.T for layer in (*network.encoder, *network.decoder)])

    torch.testing.assert_close(network(x).logits - network(torch.zeros(1, 6)).logits, product)


def test_hidden_layers_of_a_deep_network_go_from_input_to_output() -> None:
    hidden = seeded(deep())(torch.rand(2, 6)).hidden

    assert [layer.shape[1] for layer in hidden] == [5, 4, 3, 4, 5]


@pytest.mark.parametrize("build", [shallow, deep, stacked])
def test_tied_weights_are_one_matrix_per_layer(build) -> None:  # type: ignore[no-untyped-def]
    tied, untied = build(tied_weights=True), build(tied_weights=False)
    matrices = [name for name, tensor in tied.state_dict().items() if tensor.dim() == 2]

    assert 2 * len(tied.weights()) == len(untied.weights())
    assert len(matrices) == len(tied.weights())


@pytest.mark.parametrize("build", [shallow, deep, stacked])
def test_the_decoder_of_tied_weights_moves_with_the_encoder(build) -> None:  # type: ignore[no-untyped-def]
    network = seeded(build(activation="linear", output_activation="linear", tied_weights=True))
    encoder = network.weights()
    code = torch.eye(network.code_size)
    with torch.no_grad():
        encoder[0].mul_(3)

    decoded = network.decode(code) - network.decode(torch.zeros_like(code))

    torch.testing.assert_close(decoded, torch.linalg.multi_dot([*reversed(encoder), torch.eye(6)]))


def test_a_copy_of_tied_weights_is_tied_to_the_copy() -> None:
    network = seeded(shallow(activation="linear", tied_weights=True))
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin.encoder.weight.zero_()

    assert torch.equal(twin.decode(torch.ones(1, 4))[0], twin.decoder.bias)
    assert not torch.equal(network.decode(torch.ones(1, 4))[0], network.decoder.bias)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 1), ("tanh", 1), ("sigmoid", 4)])
def test_initial_weights_fill_their_range(activation: Activation, gain: int) -> None:
    network = ShallowAutoencoder(300, 100, activation=activation, output_activation="sigmoid")
    initialise(network, torch.Generator().manual_seed(1))

    for weight, width in zip(network.weights(), (gain, 1), strict=True):
        limit = width * np.sqrt(6 / 400)
        assert 0.999 * limit < weight.abs().max() <= limit
        assert weight.std().item() == pytest.approx(limit / np.sqrt(3), rel=0.02)
        assert weight.mean().item() == pytest.approx(0, abs=0.02 * limit)


def test_initial_weights_depend_on_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (seeded(deep(), seed) for seed in (1, 1, 2))

    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(first.weights(), again.weights(), other.weights(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_filters_are_one_row_per_unit_of_the_first_layer() -> None:
    shapes = [network.first_layer_filters().shape for network in (shallow(), deep(), stacked())]

    assert shapes == [(4, 6), (5, 6), (5, 6)]


@pytest.mark.parametrize("tied", [False, True])
def test_a_layer_of_a_stack_is_an_autoencoder_of_the_codes_below(tied: bool) -> None:
    network = seeded(stacked(tied_weights=tied))
    codes = network.inputs_of_layer(1, torch.rand(3, 6))
    encoder, decoder = network.unrolled.encoder[1], network.unrolled.decoder[-2]

    activations = network.layer(1)(codes)

    hidden = torch.sigmoid(codes @ encoder.weight.T + encoder.bias)
    decoder_weight = encoder.weight if tied else decoder.weight.T
    torch.testing.assert_close(activations.code, hidden)
    torch.testing.assert_close(activations.reconstruction, torch.sigmoid(hidden @ decoder_weight + decoder.bias))
    assert (network.layer(1).input_size, network.layer(1).code_size) == (5, 4)


def test_a_layer_of_a_stack_shares_its_parameters() -> None:
    network = stacked()
    own = {id(parameter) for parameter in network.parameters()}

    for k in range(len(network.encoder_weights())):
        parameters = list(network.layer(k).parameters())
        assert len(parameters) == 3  # W, b and the visible bias
        assert all(id(parameter) in own for parameter in parameters)


def test_inputs_of_a_layer_are_the_clean_codes_below() -> None:
    network = seeded(stacked())
    x = torch.rand(3, 6)

    assert network.inputs_of_layer(0, x) is x
    torch.testing.assert_close(network.inputs_of_layer(2, x), network.layer(1).encode(network.layer(0).encode(x)))
    torch.testing.assert_close(network.inputs_of_layer(3, x), network.encode(x))


def test_a_softmax_starts_uniform_and_reads_the_code() -> None:
    network = stacked(n_classes=10)
    initialise(network, torch.Generator().manual_seed(0))
    x = torch.rand(3, 6)
    assert torch.equal(network(x).class_logits, torch.zeros(3, 10))

    with torch.no_grad():
        nn.init.ones_(network.classifier.weight)

    torch.testing.assert_close(network(x).class_logits, network.encode(x).sum(dim=1, keepdim=True).expand(3, 10))


def test_a_classifier_trains_encoder_and_softmax_but_no_visible_bias() -> None:
    network = stacked(n_classes=10, tied_weights=False)
    trained = {id(parameter) for parameter in network.classifier_parameters()}
    names = {name for name, parameter in network.named_parameters() if id(parameter) in trained}

    assert names == {
        f"{layer}.{kind}"
        for layer in ("unrolled.encoder.0", "unrolled.encoder.1", "unrolled.encoder.2", "classifier")
        for kind in ("weight", "bias")
    }


def test_a_layer_with_zero_weights_outputs_the_activation_of_0() -> None:
    assert torch.equal(Layer(3, 2, "sigmoid")(torch.rand(1, 3)), torch.full((1, 2), 0.5))


def test_tutorial_weights_are_four_times_as_wide_in_every_layer() -> None:
    network = ShallowAutoencoder(300, 100, activation="relu", output_activation="sigmoid")
    initialise(network, torch.Generator().manual_seed(1), "tutorial")

    for weight in network.weights():
        assert 0.999 * 4 * np.sqrt(6 / 400) < weight.abs().max() <= 4 * np.sqrt(6 / 400)
    assert not network.encoder.bias.any()  # type: ignore[union-attr]


def test_small_weights_are_normal_with_a_deviation_of_a_hundredth() -> None:
    network = ShallowAutoencoder(300, 100, activation="sigmoid")
    initialise(network, torch.Generator().manual_seed(1), "small")

    for weight in network.weights():
        assert weight.std().item() == pytest.approx(0.01, rel=0.02)
        assert abs(weight.mean().item()) < 3e-4  # three standard errors


def test_identity_weights_return_their_input() -> None:
    network = ShallowAutoencoder(6, 6, activation="linear")
    initialise(network, torch.Generator(), "identity")
    x = torch.rand(3, 6)

    assert torch.equal(network(x).reconstruction, x)


def test_an_asymmetric_decoder_has_its_own_sizes() -> None:
    network = seeded(deep(decoder_sizes=(7,)))

    assert [tuple(weight.shape) for weight in network.weights()] == [(5, 6), (4, 5), (3, 4), (7, 3), (6, 7)]
    assert [layer.shape[1] for layer in network(torch.rand(2, 6)).hidden] == [5, 4, 3, 7]


@pytest.mark.parametrize("tied", [False, True])
def test_a_network_without_biases_has_only_matrices(tied: bool) -> None:
    network = seeded(deep(biases=False, tied_weights=tied, activation="tanh"))

    assert {parameter.dim() for parameter in network.parameters()} == {2}
    assert torch.equal(network(torch.zeros(2, 6)).reconstruction, torch.zeros(2, 6))
