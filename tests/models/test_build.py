from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sweeps.errors import ConfigError
from sweeps.models import tensor_file
from sweeps.models.build import build_network, build_phases, load_network, save_network
from sweeps.models.config import (
    DeepConfig,
    LinearConfig,
    ModelConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)
from sweeps.models.errors import ModelError
from sweeps.models.metrics import References
from sweeps.models.networks.stacked_denoising import StackedDenoisingAutoencoder
from sweeps.models.training.layer_digest import layer_settings

INPUTS = torch.rand(60, 12, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(60) % 3
PRETRAINING = {"epochs": 2, "batch_size": 20, "learning_rate": 0.01}
BOLTZMANN = {**PRETRAINING, "method": "contrastive_divergence", "optimizer": "sgd", "momentum": 0.5}
STACK = {"hidden_sizes": (7, 5), "noise": {"level": (0.1, 0.4)}, "pretraining": PRETRAINING}
MODELS: list[ModelConfig] = [
    ShallowConfig(hidden_size=5, activation="tanh", output_activation="sigmoid"),
    ShallowConfig(hidden_size=5, tied_weights=True),
    DeepConfig(hidden_sizes=(8, 6), code_size=2, activation="elu", code_activation="sigmoid"),
    StackedDenoisingConfig.model_validate(STACK),
    StackedDenoisingConfig.model_validate({**STACK, "fine_tuning": "reconstruction", "tied_weights": False}),
    DeepConfig(hidden_sizes=(), code_size=2, decoder_sizes=(8, 6), biases=False, standardize="sample"),
    LinearConfig(initialization="tutorial"),
    StackedDenoisingConfig.model_validate({**STACK, "fine_tuning": "reconstruction", "code_activation": "linear"}),
]


def stack(**settings: Any) -> StackedDenoisingConfig:
    return StackedDenoisingConfig.model_validate({**STACK, **settings})


def boltzmann(**settings: Any) -> StackedDenoisingConfig:
    untied = {"noise": {"level": 0}, "tied_weights": False, "fine_tuning": "reconstruction", "pretraining": BOLTZMANN}
    return stack(**{**untied, **settings})


def changed(network: StackedDenoisingAutoencoder, before: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def copied(network: StackedDenoisingAutoencoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_saved_network_gives_the_same_outputs(model: ModelConfig, tmp_path: Path) -> None:
    network = build_network(model, input_size=12, n_classes=3, seed=5)

    save_network(tmp_path / "network.safetensors", model, network)
    loaded = load_network(tmp_path / "network.safetensors")

    assert type(loaded) is type(network)
    assert torch.equal(loaded(INPUTS).reconstruction, network(INPUTS).reconstruction)
    assert torch.equal(loaded.encode(INPUTS), network.encode(INPUTS))


def test_a_saved_network_is_plain_values_and_tensors(tmp_path: Path) -> None:
    network = build_network(MODELS[3], input_size=12, n_classes=3, seed=5)
    save_network(tmp_path / "network.safetensors", MODELS[3], network)

    content = tensor_file.loads((tmp_path / "network.safetensors").read_bytes())

    assert content["model"]["hidden_sizes"] == [7, 5]
    assert (content["input_size"], content["n_classes"]) == (12, 3)


def test_a_loaded_network_still_classifies(tmp_path: Path) -> None:
    network = build_network(MODELS[3], input_size=12, n_classes=3, seed=5)
    assert isinstance(network, StackedDenoisingAutoencoder)
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    save_network(tmp_path / "network.safetensors", MODELS[3], network)

    loaded = load_network(tmp_path / "network.safetensors")

    assert isinstance(loaded, StackedDenoisingAutoencoder)
    assert torch.equal(loaded(INPUTS).class_logits, network(INPUTS).class_logits)


@pytest.mark.parametrize("content", [b"", b"no network", {"format": "another"}, {"weights": torch.ones(2)}, [1]])
def test_an_error_for_an_invalid_network_file_names_it(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)

    with pytest.raises(ModelError, match=r"network\.safetensors must"):
        load_network(path)


@pytest.mark.parametrize("n_bytes", [10, 500, -100, -1])
def test_an_error_for_a_truncated_network_file_names_it(n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_network(path, MODELS[3], build_network(MODELS[3], input_size=12, n_classes=3, seed=5))
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ModelError, match=r"network\.safetensors must"):
        load_network(path)


@pytest.mark.parametrize(("key", "value"), [("input_size", 13), ("n_classes", 4)])
def test_a_network_that_does_not_fit_its_settings_is_refused(key: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_network(path, MODELS[3], build_network(MODELS[3], input_size=12, n_classes=3, seed=5))
    path.write_bytes(tensor_file.dumps({**tensor_file.loads(path.read_bytes()), key: value}))

    with pytest.raises(ModelError, match="differ"):
        load_network(path)


def test_settings_reach_the_network() -> None:
    network = build_network(MODELS[2], input_size=12, n_classes=None, seed=5)

    assert [tuple(weight.shape) for weight in network.weights()] == [
        (8, 12), (6, 8), (2, 6), (6, 2), (8, 6), (12, 8),
    ]  # fmt: skip
    assert ((network.encode(INPUTS) > 0) & (network.encode(INPUTS) < 1)).all()


def test_the_code_of_a_stack_can_have_its_own_activation() -> None:
    for code_activation, expected in ((None, "sigmoid"), ("linear", "linear")):
        network = build_network(stack(code_activation=code_activation), input_size=12, n_classes=3, seed=5)
        assert isinstance(network, StackedDenoisingAutoencoder)
        activations = [layer.activation for layer in (*network.unrolled.encoder, *network.unrolled.decoder)]
        assert activations == ["sigmoid", expected, "sigmoid", "sigmoid"]


@pytest.mark.parametrize(
    ("settings", "issue"),
    [
        ({"activation": "relu", "loss": "mse"}, "set activation and output_activation to sigmoid, not relu"),
        ({"output_activation": "linear", "loss": "mse"}, "to sigmoid, not sigmoid and linear"),
        ({"code_activation": "elu"}, "set code_activation to sigmoid or linear, not elu"),
        ({"noise": {"level": 0.2}}, r"set noise\.level to 0, not 0\.2"),
        ({"pretraining": {"momentum": 0.9}}, "momentum is a setting of sgd, and adam has its own"),
    ],
)
def test_settings_unsupported_by_boltzmann_machines_are_refused(settings: dict[str, Any], issue: str) -> None:
    with pytest.raises(ValidationError, match=issue):
        boltzmann(**settings)


def test_the_pretraining_method_has_no_requirements_without_epochs() -> None:
    assert boltzmann(activation="relu", loss="mse", pretraining={**BOLTZMANN, "epochs": 0}).activation == "relu"


def test_fine_tuning_on_labels_needs_labels() -> None:
    with pytest.raises(ModelError, match="needs data with labels") as raised:
        build_network(stack(), input_size=12, n_classes=None, seed=0)
    assert len(raised.value.issues) == 1


def test_cross_entropy_of_codes_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValidationError, match="codes in"):
        stack(activation="relu")
    assert stack(activation="relu", loss="mse").activation == "relu"
    assert stack(activation="relu", hidden_sizes=(7,), noise={"level": 0.1}).loss == "bce"


def test_an_unstacked_network_trains_in_one_phase() -> None:
    training = TrainingConfig(epochs=3, batch_size=17, validate_every=2)

    (phase,) = build_phases(MODELS[0], training, input_size=12, n_classes=3)

    assert (phase.name, phase.epochs, phase.batch_size, phase.validate_every) == ("train", 3, 17, 2)
    assert phase.inputs is None


def test_a_stack_trains_layer_by_layer_then_as_a_whole() -> None:
    phases = build_phases(stack(), TrainingConfig(epochs=3, batch_size=17), input_size=12, n_classes=3)

    assert [phase.name for phase in phases] == ["pretrain/1", "pretrain/2", "train"]
    assert [phase.epochs for phase in phases] == [2, 2, 3]
    assert [phase.batch_size for phase in phases] == [20, 20, 17]
    assert all(phase.member.network is phases[-1].member.network for phase in phases)


def test_a_pretraining_phase_names_its_reusable_layer() -> None:
    first, second, last = build_phases(stack(), TrainingConfig(), input_size=12, n_classes=3)
    network = last.member.network
    assert isinstance(network, StackedDenoisingAutoencoder)

    for k, phase in enumerate((first, second)):
        assert phase.layer is not None
        assert phase.layer_settings == layer_settings(stack(), k + 1)
        own = {id(parameter) for parameter in network.layer(k).parameters()}
        assert {id(parameter) for parameter in phase.layer.parameters()} == own
    assert (last.layer, last.layer_settings) == (None, None)


def test_without_pretraining_epochs_only_fine_tuning_remains() -> None:
    model = stack(pretraining={"epochs": 0})

    assert [phase.name for phase in build_phases(model, TrainingConfig(), input_size=12, n_classes=3)] == ["train"]


def test_each_phase_changes_only_its_own_parameters(fit, batches) -> None:  # type: ignore[no-untyped-def]
    phases = build_phases(stack(), TrainingConfig(), input_size=12, n_classes=3)
    network = phases[-1].member.network
    changes = []
    for phase in phases:
        before = copied(network)
        with torch.no_grad():
            inputs = INPUTS if phase.inputs is None else phase.inputs(INPUTS)
        fit(phase.member, batches(inputs, LABELS))
        changes.append(changed(network, before))

    encoder = [f"unrolled.encoder.{k}.{kind}" for k in (0, 1) for kind in ("weight", "bias")]
    assert changes[0] == {*encoder[:2], "unrolled.decoder.1.bias"}
    assert changes[1] == {*encoder[2:], "unrolled.decoder.0.bias"}
    assert changes[2] == {*encoder, "classifier.weight", "classifier.bias"}  # no visible bias


def test_boltzmann_machines_are_unrolled_as_they_are_trained(fit, batches) -> None:  # type: ignore[no-untyped-def]
    phases = build_phases(boltzmann(), TrainingConfig(), input_size=12, n_classes=3)
    network = phases[-1].member.network
    assert isinstance(network, StackedDenoisingAutoencoder)
    (first, second), (back, out) = network.unrolled.encoder, network.unrolled.decoder

    for phase, layer, decoder in zip(phases, (first, second), (out, back), strict=False):
        with torch.no_grad():
            inputs = INPUTS if phase.inputs is None else phase.inputs(INPUTS)
        before = copied(network)
        fit(phase.member, batches(inputs, LABELS))
        assert len(changed(network, before)) == 3  # weights and both biases of the layer
        assert phase.finish is not None
        phase.finish()
        assert torch.equal(decoder.weight, layer.weight.t())  # type: ignore[union-attr]

    fit(phases[-1].member, batches(INPUTS, LABELS))
    assert not torch.equal(out.weight, first.weight.t())  # type: ignore[union-attr]


def test_the_code_of_boltzmann_machines_can_have_its_own_learning_rate() -> None:
    model = boltzmann(pretraining={**BOLTZMANN, "code_learning_rate": 0.0001})
    phases = build_phases(model, TrainingConfig(learning_rate=0.5), input_size=12, n_classes=3)

    assert [phase.member.optimizer.learning_rate for phase in phases] == [0.01, 0.0001, 0.5]
    assert [phase.member.optimizer.momentum for phase in phases] == [0.5, 0.5, 0.0]


def test_momentum_reaches_the_optimizer() -> None:
    training = TrainingConfig(optimizer="sgd", momentum=0.9)
    (phase,) = build_phases(ShallowConfig(), training, input_size=12, n_classes=None)

    assert phase.member.torch_optimizer().defaults["momentum"] == 0.9


def test_fine_tuning_on_reconstruction_changes_visible_biases_too(fit, batches) -> None:  # type: ignore[no-untyped-def]
    *_, last = build_phases(stack(fine_tuning="reconstruction"), TrainingConfig(), input_size=12, n_classes=3)
    before = copied(last.member.network)

    fit(last.member, batches(INPUTS, LABELS))

    assert changed(last.member.network, before) == set(before)


def test_each_layer_has_its_own_noise_and_fine_tuning_has_none() -> None:
    for fine_tuning in ("classification", "reconstruction"):
        phases = build_phases(stack(fine_tuning=fine_tuning), TrainingConfig(), input_size=12, n_classes=3)
        levels = [getattr(phase.member.objective, "noise", None) for phase in phases]

        assert [noise and noise.level for noise in levels[:2]] == [0.1, 0.4]
        assert levels[2] is None or levels[2].level == 0


def test_one_noise_level_applies_to_every_layer() -> None:
    phases = build_phases(stack(noise={"level": 0.2}), TrainingConfig(), input_size=12, n_classes=3)

    assert [phase.member.objective.noise.level for phase in phases[:2]] == [0.2, 0.2]  # type: ignore[attr-defined]


def test_a_stack_is_validated_under_the_noise_of_its_first_layer(fit, batches) -> None:  # type: ignore[no-untyped-def]
    *_, last = build_phases(
        stack(), TrainingConfig(), input_size=12, n_classes=3, references=References(np.linspace(1, 0, 13))
    )
    fit(last.member, batches(INPUTS, LABELS), batches(INPUTS, LABELS, shuffle=False))

    assert last.member.validation is not None
    assert last.member.validation.noise.level == 0.1
    assert set(last.member.metrics) == {
        "train/loss",
        "valid/mse",
        "valid/r2",
        "valid/mse_over_pca",
        "valid/denoise_mse",
        "valid/classification_error",
        "valid/code_sparsity",
        "valid/dead_units",
    }


@pytest.mark.parametrize("initialization", ["identity", "unit_interval", "tutorial"])
def test_a_softmax_starts_at_0_with_any_initialization(initialization: str) -> None:
    network = build_network(stack(initialization=initialization), input_size=12, n_classes=3, seed=0)
    assert isinstance(network, StackedDenoisingAutoencoder)
    assert not network.classifier.weight.any()


def test_tied_weights_with_separate_decoder_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave decoder_sizes out"):
        DeepConfig(tied_weights=True, decoder_sizes=(3,))


def test_passes_per_epoch_apply_to_the_last_phase() -> None:
    phases = build_phases(stack(), TrainingConfig(passes_per_epoch=9), input_size=12, n_classes=3)

    assert [phase.passes for phase in phases] == [1, 1, 9]
