"""The answers of each network family's config section to the service."""

from typing import ClassVar, Literal

import pytest
from pydantic import TypeAdapter

from sweeps.models.build import build_network
from sweeps.models.config import (
    FAMILIES,
    DeepConfig,
    LinearConfig,
    ModelConfig,
    NoiseConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)
from sweeps.models.config.autoencoder import LabelsSetting, SingleNoiseConfig
from sweeps.models.diagnosis.evidence import hidden_layers, settings_of


def stack(**settings: object) -> StackedDenoisingConfig:
    return StackedDenoisingConfig.model_validate({"hidden_sizes": (7, 5), **settings})


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_describes_the_network_it_builds(family: type[LinearConfig]) -> None:
    section = family()

    network = build_network(section, input_size=6, n_classes=3, seed=0)

    assert TypeAdapter(ModelConfig).validate_python({"name": section.name}) == section
    assert network.n_classes == (3 if section.classifies else None)
    if section.code_size is not None:
        assert network.code_size == section.code_size == section.encoder_sizes[-1]
        assert [weight.shape[0] for weight in network.encoder_weights()] == list(section.encoder_sizes)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_diagnosed(family: type[LinearConfig]) -> None:
    section = family()
    assert settings_of(section, TrainingConfig()).size_setting.startswith("model.")
    for layer in hidden_layers(section):
        assert getattr(section, layer.setting.removeprefix("model.")) == layer.activation


def test_a_family_must_declare_the_size_of_its_code() -> None:
    with pytest.raises(TypeError, match="NarrowConfig must have code_size"):

        class NarrowConfig(SingleNoiseConfig):
            name: Literal["narrow"] = "narrow"


def test_a_family_that_can_learn_labels_classifies_by_its_setting() -> None:
    class OptionalLabelsConfig(ShallowConfig):
        labels_setting: ClassVar[LabelsSetting | None] = LabelsSetting("target", "labels", "inputs")
        target: Literal["labels", "inputs"] = "labels"

    assert [OptionalLabelsConfig(target=target).classifies for target in ("labels", "inputs")] == [True, False]
    assert not any(family().classifies for family in FAMILIES if family.labels_setting is None)


def test_only_a_stack_pretrains() -> None:
    pretraining = {"epochs": 3, "batch_size": 50, "learning_rate": 0.1, "code_learning_rate": 0.01}
    section = stack(pretraining=pretraining)

    assert section.n_pretraining_epochs == 6
    assert section.pretraining_batches == (3, 50, 2)
    assert section.pretraining_rate(0) == (0.1, "model.pretraining.learning_rate")
    assert section.pretraining_rate(1) == (0.01, "model.pretraining.code_learning_rate")
    for other in (LinearConfig(), ShallowConfig(), DeepConfig(), stack(pretraining={"epochs": 0})):
        assert (other.n_pretraining_epochs, other.pretraining_batches) == (0, None)
    assert ShallowConfig().pretraining_rate(0) is None


def test_only_a_stack_fine_tuned_on_labels_classifies() -> None:
    assert stack().classifies
    assert not stack(fine_tuning="reconstruction").classifies
    assert not DeepConfig().classifies


def test_cross_entropy_and_boltzmann_machines_need_inputs_in_the_unit_interval() -> None:
    method = {"method": "contrastive_divergence", "epochs": 1}
    machines = stack(noise={"level": 0}, loss="mse", pretraining=method)

    assert [needed_by for needed_by, _ in stack().unit_interval_needs] == ["loss bce"]
    assert [needed_by for needed_by, _ in machines.unit_interval_needs] == ["pretraining.method contrastive_divergence"]
    assert ShallowConfig().unit_interval_needs == ()
    assert ShallowConfig(output_activation="sigmoid").unit_interval_needs == (
        ("output_activation sigmoid", "output_activation linear"),
    )
    assert [needed_by for needed_by, _ in machines.complete_data_needs] == ["pretraining.method contrastive_divergence"]
    assert stack().complete_data_needs == ()


def test_noise_has_one_level_per_layer() -> None:
    assert [NoiseConfig(level=(0.1, 0.4)).level_of(layer) for layer in (0, 1)] == [0.1, 0.4]
    assert [NoiseConfig(level=0.2).level_of(layer) for layer in (0, 1)] == [0.2, 0.2]
