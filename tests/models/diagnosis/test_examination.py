"""What an examination measures of a network for its diagnosis, and how it is checkpointed."""

import io
import math

import numpy as np
import pytest
import torch
from metric_references import references

from sweeps.models.build import build_phases
from sweeps.models.config import (
    DeepConfig,
    LayerNoiseConfig,
    ModelConfig,
    PretrainingConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)
from sweeps.models.diagnosis.evidence import Evidence, hidden_layers
from sweeps.models.diagnosis.examination import Examination
from sweeps.models.diagnosis.findings import Finding, FindingName
from sweeps.models.feature_statistics import feature_statistics
from sweeps.models.training.objectives import Objective

GENERATOR = torch.Generator().manual_seed(0)
SAMPLES = torch.rand(120, 12, generator=GENERATOR)
LABELS = torch.randint(3, (120,), generator=GENERATOR)
TRAIN, VALID = (SAMPLES[:80], LABELS[:80]), (SAMPLES[80:], LABELS[80:])
REFERENCES = references(TRAIN[0].numpy(), VALID[0].numpy(), 1.0)
TRAINING = TrainingConfig(epochs=3, learning_rate=0.02)
STACK = StackedDenoisingConfig(hidden_sizes=(8, 4), noise=LayerNoiseConfig(level=0.1))
MODELS: list[ModelConfig] = [
    ShallowConfig(hidden_size=5),
    ShallowConfig(hidden_size=5, loss="bce", output_activation="sigmoid", loss_reduction="sum", hidden_l1=0.1),
    DeepConfig(hidden_sizes=(8, 6), code_size=2, weight_l2=0.1, activation="elu"),
    DeepConfig(hidden_sizes=(), code_size=2, decoder_sizes=(6,), code_activation="sigmoid"),
    STACK,
    STACK.model_copy(update={"fine_tuning": "reconstruction", "weight_l1": 0.01}),
    STACK.model_copy(update={"fine_tuning": "reconstruction", "code_activation": "linear"}),
]


def objective_of(model: ModelConfig) -> Objective:
    return build_phases(model, TRAINING, input_size=12, n_classes=3)[-1].member.objective


def examination_of(model: ModelConfig, n_valid: int | None = None) -> Examination:
    statistics = feature_statistics(TRAIN[0].numpy(), 1.0)
    module = build_phases(model, TRAINING, input_size=12, n_classes=3, statistics=statistics)[-1].member
    mean = TRAIN[0].numpy().mean(axis=0, dtype=np.float64)
    return Examination(model, TRAINING, module.network, module.objective, REFERENCES, mean, n_valid)


def names(findings: list[Finding]) -> set[FindingName]:
    return {finding.name for finding in findings}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.name} {model.loss}")
@torch.no_grad()
def test_loss_and_penalties_sum_to_the_objective_without_noise(model: ModelConfig) -> None:
    objective = objective_of(model)
    loss, penalty = objective.terms(objective.network(TRAIN[0]), TRAIN)  # type: ignore[attr-defined]
    torch.testing.assert_close(loss + penalty, objective(TRAIN, torch.Generator()))
    assert (penalty > 0) == bool(model.weight_l1 or model.weight_l2 or model.hidden_l1)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.name} {model.loss}")
@torch.no_grad()
def test_each_hidden_layer_has_the_activation_of_its_settings(model: ModelConfig) -> None:
    hidden = objective_of(model).network(10 * SAMPLES - 5).hidden  # type: ignore[attr-defined]
    ranges = {"sigmoid": (0, 1), "relu": (0, math.inf), "elu": (-1, math.inf), "linear": (-math.inf, math.inf)}
    layers = hidden_layers(model)
    assert len(layers) == len(hidden)
    for name, outputs in zip((layer.activation for layer in layers), hidden, strict=True):
        low, high = ranges[name]
        assert low <= outputs.min()
        assert outputs.max() <= high
        assert name != "linear" or outputs.min() < -1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.name} {model.loss}")
def test_an_examination_changes_neither_the_network_nor_the_random_state(model: ModelConfig) -> None:
    examination = examination_of(model)
    state = torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in examination._network.state_dict().items()}
    examination.begin(TRAIN)
    examination.add_epoch(1, {"train/loss": 0.5, "valid/mse": 0.1})
    examination.findings(TRAIN, VALID)
    torch.testing.assert_close(dict(examination._network.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in examination._network.parameters())


def test_an_examination_resumes_from_a_checkpoint() -> None:
    model = ShallowConfig(hidden_size=5)
    one, other = examination_of(model), examination_of(model)
    one.begin(TRAIN)
    for epoch, loss in enumerate([50.0, 40.0], start=1):
        one.add_epoch(epoch, {"train/loss": loss, "valid/mse": loss})
    file = io.BytesIO()
    torch.save(one.state(), file)
    file.seek(0)
    other.restore(torch.load(file, weights_only=True))
    for examination in (one, other):
        examination.add_epoch(3, {"train/loss": 30.0, "valid/mse": 30.0})
    assert one.findings(TRAIN, VALID) == other.findings(TRAIN, VALID)
    assert {FindingName.LEARNING_RATE, FindingName.STILL_IMPROVING} <= names(other.findings(TRAIN, VALID))


@pytest.mark.parametrize("by_feature", [False, True])
def test_the_gap_between_typical_samples_is_measured_in_the_units_of_errors(
    by_feature: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[Evidence] = []
    monkeypatch.setattr(
        "sweeps.models.diagnosis.examination.diagnose", lambda evidence: examined.append(evidence) or []
    )
    model = ShallowConfig(hidden_size=5, standardize="feature" if by_feature else "none")
    of, inputs = examination_of(model), TRAIN[0].numpy().astype(np.float64)
    unusual = VALID[0].clone()
    unusual[:3] *= 100
    of.findings(TRAIN, (unusual, VALID[1]))

    deviation = inputs.std(axis=0) if by_feature else 1.0
    with torch.no_grad():
        train, valid = (
            np.square((of.objective.network(x).reconstruction - x).numpy() / deviation).mean(axis=1)  # type: ignore[attr-defined]
            for x in (TRAIN[0], unusual)
        )
    assert examined[0].typical_gap == pytest.approx(np.median(valid) / np.median(train), rel=1e-4)
    assert examined[0].typical_gap < 2 < valid.mean() / train.mean()


def test_a_classifier_is_not_judged_by_its_reconstructions() -> None:
    judged = {}
    for fine_tuning in ("classification", "reconstruction"):
        examination = examination_of(STACK.model_copy(update={"fine_tuning": fine_tuning}))
        examination.begin(TRAIN)
        for epoch, error in enumerate([1.0, 0.7, 0.5], start=1):
            examination.add_epoch(epoch, {"train/loss": error, "valid/mse": error})
        judged[fine_tuning] = names(examination.findings(TRAIN, VALID))
    assert FindingName.STILL_IMPROVING in judged["reconstruction"]
    assert judged["classification"] == set()


@pytest.mark.parametrize(
    ("errors", "n_valid", "expected"),
    [
        ((0.1, 0.014, 0.018), 10_000, FindingName.OVERFITTING),
        ((0.1, 0.014, 0.016), 10_000, None),  # 20 of 10,000 predictions: within two standard errors
        ((0.1, 0.014, 0.018), 500, None),  # 2 of 500 predictions
        ((0.3, 0.1, 0.08), 10_000, FindingName.STILL_IMPROVING),
        ((0.3, 0.1, 0.08), 500, None),
        ((0.3, 0.1, 0.098), 10_000, None),
    ],
)
def test_a_classifier_is_judged_by_its_classification_error(
    errors: tuple[float, ...], n_valid: int, expected: FindingName | None
) -> None:
    examination = examination_of(STACK, n_valid)
    for epoch, error in enumerate(errors, start=1):
        examination.add_epoch(epoch, {"train/loss": 1 / epoch, "valid/mse": 1.0, "valid/classification_error": error})
    found = names(examination.findings(TRAIN, VALID)) & {FindingName.OVERFITTING, FindingName.STILL_IMPROVING}
    assert found == ({expected} if expected else set())


def test_decoder_units_that_a_classifier_does_not_train_are_not_judged() -> None:
    examination = examination_of(STACK)
    unrolled = examination._network.unrolled  # type: ignore[attr-defined]
    with torch.no_grad():
        unrolled.decoder[0].bias -= 1000.0  # its sigmoid units never leave 0
    assert FindingName.DEAD not in names(examination.findings(TRAIN, VALID))
    with torch.no_grad():
        unrolled.encoder[0].bias -= 1000.0
    assert FindingName.DEAD in names(examination.findings(TRAIN, VALID))


@pytest.mark.parametrize(
    ("layer", "setting"),
    [
        (0, "model.pretraining.learning_rate from 0.7 to 0.007"),
        (1, "model.pretraining.code_learning_rate from 0.3 to 0.003"),
        (None, "training.learning_rate from 0.02 to 0.0002"),
    ],
)
def test_a_divergence_blames_the_learning_rate_of_the_diverged_phase(layer: int | None, setting: str) -> None:
    pretraining = PretrainingConfig(learning_rate=0.7, code_learning_rate=0.3)
    examination = examination_of(STACK.model_copy(update={"pretraining": pretraining}))
    (finding,) = examination.findings_of_divergence(4, layer)
    assert (finding.name, finding.evidence) == (FindingName.LEARNING_RATE, {"first epoch that is not finite": 4})
    assert finding.advice.startswith(f"Lower {setting}")


def test_a_code_layer_without_its_own_rate_uses_that_of_the_others() -> None:
    examination = examination_of(STACK.model_copy(update={"pretraining": PretrainingConfig(learning_rate=0.7)}))
    (finding,) = examination.findings_of_divergence(4, layer=1)
    assert finding.advice.startswith("Lower model.pretraining.learning_rate from 0.7 to 0.007")


@pytest.mark.parametrize("decoder_sizes", [(6,), (6, 7, 5)])
def test_units_of_a_decoder_with_its_own_sizes_are_judged(decoder_sizes: tuple[int, ...]) -> None:
    examination = examination_of(DeepConfig(hidden_sizes=(), code_size=4, decoder_sizes=decoder_sizes))
    with torch.no_grad():
        examination._network.decoder[-2].bias -= 1000.0  # type: ignore[attr-defined]
    dead = [f.evidence for f in examination.findings(TRAIN, VALID) if f.name == FindingName.DEAD]
    assert {"share": 1.0, "layer": 1.0 + len(decoder_sizes)} in dead
