"""The findings of each rule from its evidence: thresholds, overlap with other rules, and the settings its advice names.

tests/sweeps/trial/test_diagnosed_faults.py tests that trained networks produce such evidence.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from metric_references import references

from sweeps.config.promotion import PromotionConfig
from sweeps.models.config import (
    DeepConfig,
    LayerNoiseConfig,
    NoiseConfig,
    PretrainingConfig,
    ShallowConfig,
    StackedDenoisingConfig,
    TrainingConfig,
)
from sweeps.models.diagnosis.changes import desaturate, rescale_inputs, revive
from sweeps.models.diagnosis.diagnosis import diagnose
from sweeps.models.diagnosis.evidence import (
    Evidence,
    LayerSettings,
    LossTerms,
    Settings,
    hidden_layers,
    layer_statistics,
    settings_of,
)
from sweeps.models.diagnosis.findings import Finding, FindingName, Severity, severity_of, with_severities

RNG = np.random.default_rng(0)
TRAIN, VALID = RNG.random((400, 49)), RNG.random((300, 49))
REFERENCES = references(TRAIN, VALID, 1.0)
MEAN = REFERENCES.mean_mse
PCA_16 = REFERENCES.pca(16) or 0.0
TANH = LayerSettings("tanh", "model.activation", ("relu", "elu"))
RELU = LayerSettings("relu", "model.activation", ("relu", "elu"))


def history(*errors: float, every: int = 1, metric: str = "valid/mse", losses: bool = True) -> list[Any]:
    """A falling loss in each epoch, and an error every `every` epochs."""
    epochs: list[Any] = [
        (epoch, {"train/loss": 1 / epoch} if losses else {}) for epoch in range(1, every * len(errors) + 1)
    ]
    for number, error in enumerate(errors, start=1):
        epochs[number * every - 1][1][metric] = error
    return epochs


# Sixteen units with the error of PCA of the same size, on training and validation samples.
GOOD = Evidence(
    settings=Settings(16, "model.hidden_size", 0.01),
    references=REFERENCES,
    history=history(*np.linspace(MEAN, PCA_16, 20), *[PCA_16] * 20),
    column_mean=TRAIN.mean(axis=0),
    originals=VALID,
    reconstructions=VALID.mean(axis=0) + 0.7 * (VALID - VALID.mean(axis=0)),
    layers=(layer_statistics(RNG.uniform(-0.5, 0.5, (300, 16)), TANH),),
    filters=RNG.normal(size=(16, 49)),
    first_loss=LossTerms(1.5, 0.0),
    last_loss=LossTerms(PCA_16, 0.0),
    train_mse=PCA_16,
    n_valid=300,
)


def found(evidence: Evidence) -> dict[FindingName, Finding]:
    return {finding.name: finding for finding in diagnose(evidence)}


def one_layer(outputs: Any, settings: LayerSettings) -> Evidence:
    return replace(GOOD, layers=(layer_statistics(np.asarray(outputs), settings),), filters=None)


def test_a_good_training_has_no_findings() -> None:
    assert found(GOOD) == {}


def test_constant_mean_outputs_are_collapsed_under_large_penalties_and_column_mean_otherwise() -> None:
    mean = replace(GOOD, history=history(MEAN, MEAN), reconstructions=np.tile(VALID.mean(axis=0), (300, 1)))
    assert FindingName.COLUMN_MEAN in found(mean)
    crushed = replace(mean, first_loss=LossTerms(0.8, 0.2), settings=replace(GOOD.settings, hidden_l1=0.5))
    assert "Lower model.hidden_l1" in found(crushed)[FindingName.COLLAPSED].advice
    assert FindingName.COLUMN_MEAN not in found(crushed)
    dead = replace(mean, layers=(layer_statistics(np.zeros((300, 16)), RELU),))
    assert "model.activation to elu" in found(dead)[FindingName.COLUMN_MEAN].advice


def test_a_constant_output_far_from_the_mean_is_not_column_mean() -> None:
    constant = np.full((300, 49), 30.0)
    far = replace(GOOD, history=history(100 * MEAN, 50 * MEAN), train_mse=50 * MEAN, reconstructions=constant)
    assert FindingName.HARDLY_TRAINED in found(far)
    assert FindingName.COLUMN_MEAN not in found(far)


def test_a_network_that_learns_only_its_penalties_is_advised_to_lower_them() -> None:
    settings = replace(GOOD.settings, weight_l1=1.0, weight_l2=2.0)
    penalised = replace(
        GOOD, settings=settings, history=history(MEAN, MEAN), train_mse=MEAN, last_loss=LossTerms(0.1, 0.9)
    )
    advice = found(penalised)[FindingName.HARDLY_TRAINED].advice
    assert advice.startswith("Lower model.weight_l1 from 1 to 0.1 and lower model.weight_l2 from 2 to 0.2: ")


def test_low_variance_features_reconstructed_by_their_mean_need_standardising_and_are_not_collapsed() -> None:
    offset = replace(
        GOOD,
        history=history(MEAN, MEAN),
        column_mean=np.full(49, 100.0),
        reconstructions=np.tile(VALID.mean(axis=0), (300, 1)),
    )
    assert found(offset).keys() == {FindingName.HARDLY_VARIES}


@pytest.mark.parametrize(
    ("means", "now", "unit"),
    [
        (np.full(49, 100.0), "none", "sample"),
        (np.linspace(50.0, 150.0, 49), "none", "feature"),
        (np.full(49, 100.0), "sample", "feature"),
        (None, "none", "sample"),
    ],
)
def test_inputs_are_standardised_by_feature_where_samples_would_keep_what_hides_the_variance(
    means: Any, now: str, unit: str
) -> None:
    of = replace(GOOD, column_mean=means, settings=replace(GOOD.settings, standardize=now))
    assert {change.path: change.new for change in rescale_inputs(of)} == {"model.standardize": unit}


def test_large_inputs_are_standardised_where_bounded_units_are_idle() -> None:
    large = replace(GOOD, history=history(MEAN, MEAN), column_mean=np.full(49, 100.0))
    for outputs in (np.full((300, 16), 1.0), RNG.uniform(0.9999, 1.0, (300, 16))):  # dead, saturated
        layer = layer_statistics(outputs, TANH)
        advise = revive if layer.dead_share else desaturate
        for means, unit in ((large.column_mean, "sample"), (np.linspace(50.0, 150.0, 49), "feature")):
            (change,) = advise(layer, replace(large, column_mean=means))
            assert change == ("model.standardize", "none", unit)
        (change,) = advise(layer, GOOD)
        assert change.path != "model.standardize"


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (
            {"last_loss": LossTerms(0.8, 0.2), "settings": replace(GOOD.settings, hidden_l1=0.5)},
            "Lower model.hidden_l1 from 0.5 to 0.05: the penalties raise the reconstruction error",
        ),
        ({"layers": (layer_statistics(np.zeros((300, 16)), RELU),)}, "Set model.activation to elu in place of relu"),
        ({"settings": replace(GOOD.settings, noise_level=0.3)}, "Lower model.noise.level from 0.3 to 0.1"),
        ({"settings": replace(GOOD.settings, denoises=False)}, "Raise training.epochs from 20 to 40"),
    ],
)
def test_an_error_worse_than_pca_has_advice_for_its_cause(change: dict[str, Any], advice: str) -> None:
    worse = replace(GOOD, history=history(*[1.06 * PCA_16] * 4), **change)
    assert advice in found(worse)[FindingName.WORSE_THAN_PCA].advice
    assert FindingName.WORSE_THAN_PCA not in found(replace(worse, history=history(*[1.04 * PCA_16] * 4)))


def test_a_stack_is_not_advised_to_add_noise_against_copying() -> None:
    copies = replace(GOOD, settings=replace(GOOD.settings, code_size=64), history=history(*[0.01 * MEAN] * 4))
    assert "a larger model.noise.level or model.hidden_l1 also prevents it" in found(copies)[FindingName.COPIED].advice
    stack = replace(copies, settings=replace(copies.settings, denoises=False))
    assert "model.noise.level" not in found(stack)[FindingName.COPIED].advice
    assert FindingName.COPIED not in found(replace(copies, settings=replace(copies.settings, noise_level=0.1)))
    assert FindingName.COPIED not in found(replace(copies, settings=replace(copies.settings, code_size=48)))


def test_filters_of_either_sign_that_resemble_the_mean_follow_it() -> None:
    mean = np.where(np.arange(784) % 28 < 9, 1.0, 0.1)  # a stripe
    noise = np.random.default_rng(0).normal(size=(9, 784))
    evidence = replace(GOOD, layers=(), column_mean=mean)
    finding = found(replace(evidence, filters=noise * mean))[FindingName.FOLLOWS_MEAN]
    assert finding.evidence["cosine with the mean"] < 0.1
    assert finding.evidence["correlation of the filters' strength with the mean"] > 0.5
    for filters, flat in ((noise, mean), (noise * mean[::-1], mean), (noise * mean, np.full(784, 0.3))):
        assert FindingName.FOLLOWS_MEAN not in found(replace(evidence, filters=filters, column_mean=flat))


def test_filters_of_dead_units_are_left_out_of_the_comparison_with_the_mean() -> None:
    dies = np.arange(16) < 10
    outputs = np.where(dies, 0.0, RNG.random((300, 16)))
    filters = np.where(dies[:, np.newaxis], -TRAIN.mean(axis=0), RNG.normal(size=(16, 49)))
    evidence = replace(GOOD, filters=filters, layers=(layer_statistics(outputs, RELU),))
    assert FindingName.FOLLOWS_MEAN not in found(evidence)
    assert FindingName.FOLLOWS_MEAN in found(replace(evidence, layers=()))


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_rising_error_with_a_falling_loss_is_overfitting_at_any_validation_rate(every: int) -> None:
    evidence = replace(GOOD, history=history(0.05, 0.03, 0.032, every=every), train_mse=None)
    assert found(evidence)[FindingName.OVERFITTING].evidence["error over its best"] == pytest.approx(0.032 / 0.03)
    rising = [(epoch, metrics | {"train/loss": epoch / 10}) for epoch, metrics in evidence.history]
    assert FindingName.OVERFITTING not in found(replace(evidence, history=rising))


def test_a_rising_error_on_the_training_samples_is_not_overfitting() -> None:
    restless = replace(GOOD, history=history(0.05, 0.03, 0.032), train_mse=0.032)
    assert FindingName.OVERFITTING not in found(restless)
    assert FindingName.OVERFITTING in found(replace(restless, train_mse=0.03))


def test_against_memorising_training_ends_at_its_best_epoch_and_weights_decay_more() -> None:
    memorises = replace(GOOD, history=history(0.05, 0.03, 0.04), train_mse=0.02)
    assert found(memorises)[FindingName.OVERFITTING].change == {"training.epochs": 2, "model.weight_l2": 0.1}
    settings = replace(GOOD.settings, weight_l2=0.1)
    assert found(replace(memorises, settings=settings))[FindingName.OVERFITTING].change["model.weight_l2"] == 1.0
    summed = replace(settings, penalty_reduction="sum")  # of which the scale is another
    assert found(replace(memorises, settings=summed))[FindingName.OVERFITTING].change == {"training.epochs": 2}


@pytest.mark.parametrize(("typical_gap", "is_overfitting"), [(None, True), (3.0, True), (1.5, False)])
def test_a_gap_that_outliers_make_is_not_overfitting(typical_gap: float | None, is_overfitting: bool) -> None:
    gap = replace(GOOD, history=history(0.05, 0.03, 0.03), train_mse=0.01, typical_gap=typical_gap)
    assert (FindingName.OVERFITTING in found(gap)) == is_overfitting


def test_constant_mean_outputs_are_not_overfitting() -> None:
    mean = np.tile(VALID.mean(axis=0), (300, 1))
    collapsed = replace(GOOD, history=history(1.2 * MEAN, MEAN, 1.2 * MEAN), train_mse=MEAN, reconstructions=mean)
    assert FindingName.OVERFITTING not in found(collapsed)
    assert FindingName.OVERFITTING in found(replace(collapsed, reconstructions=VALID))


def test_negligible_gains_are_not_still_improving() -> None:
    assert FindingName.STILL_IMPROVING not in found(replace(GOOD, history=history(0.1, 0.02, 0.0199)))
    assert FindingName.STILL_IMPROVING not in found(replace(GOOD, history=history(1e-4, 1e-5, 2e-6)))


@pytest.mark.parametrize(("gain", "severity"), [(0.025, Severity.WARNING), (0.015, Severity.NOTE), (0.005, None)])
def test_an_error_that_still_falls_is_a_note_unless_it_falls_by_much_of_the_variance(
    gain: float, severity: Severity | None
) -> None:
    last_tenth = [(0.8 - gain / 2) * MEAN, (0.8 - gain) * MEAN]
    finding = found(replace(GOOD, history=history(*[0.8 * MEAN] * 18, *last_tenth))).get(FindingName.STILL_IMPROVING)
    assert (finding.severity if finding else None) is severity


@pytest.mark.parametrize(
    ("errors", "every", "improves"),
    [
        ([0.05, 0.04, 0.038], 5, False),  # 2.4 % of the variance in a third of the epochs is below 1 % in a tenth
        ([0.05, 0.04, 0.0365], 5, True),
        ([*[0.04] * 18, 0.0395, 0.039], 1, True),  # 1.2 % in a tenth
        ([*[0.04] * 18, 0.0398, 0.0396], 1, False),
    ],
)
def test_the_last_gain_is_judged_by_the_epochs_it_took(errors: list[float], every: int, improves: bool) -> None:
    assert (FindingName.STILL_IMPROVING in found(replace(GOOD, history=history(*errors, every=every)))) is improves


def test_the_epochs_of_a_gain_do_not_include_pretraining() -> None:
    later = [(epoch + 30, metrics) for epoch, metrics in history(0.05, 0.04, 0.03, every=5)]
    numbers = found(replace(GOOD, history=later))[FindingName.STILL_IMPROVING].evidence
    assert numbers == {"share of the error gained at the end": pytest.approx(0.25), "in epochs": 5, "of": 15}


def test_a_late_setback_means_the_learning_rate_is_too_high() -> None:
    losses = [0.5, 0.2, 0.1, 0.3]
    setback = [(epoch, {"train/loss": loss, "valid/mse": 0.1}) for epoch, loss in enumerate(losses, start=1)]
    assert FindingName.LEARNING_RATE in found(replace(GOOD, first_loss=LossTerms(0.6, 0), history=setback))


def test_rules_accept_missing_evidence() -> None:
    bare = Evidence(GOOD.settings, GOOD.references, history(*[1.06 * PCA_16] * 4))
    assert found(bare).keys() == {FindingName.WORSE_THAN_PCA}
    assert diagnose(replace(bare, history=[])) == []


def test_layers_are_judged_by_their_outputs() -> None:
    outputs = np.array([[0.0, 0.001, 0.5], [0.0, 0.002, 0.6]])
    statistics = layer_statistics(outputs, LayerSettings("sigmoid", "model.activation"))
    assert statistics.dead.tolist() == [True, False, False]
    assert statistics.saturated.tolist() == [False, True, False]
    assert layer_statistics(outputs, RELU).saturated_share == 0


@pytest.mark.parametrize(("activation", "flat"), [("sigmoid", 1.0), ("tanh", -1.0), ("elu", -1.0)])
def test_units_near_their_bounds_are_saturated(activation: Any, flat: float) -> None:
    outputs = np.array([[flat * 0.9999, 0.5], [flat * 0.9998, 0.4]])
    assert layer_statistics(outputs, LayerSettings(activation, "")).saturated.tolist() == [True, False]


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (DeepConfig(hidden_sizes=(8,), activation="tanh"), "Set model.activation to elu in place of tanh"),
        (
            DeepConfig(hidden_sizes=(), code_activation="tanh"),
            "Set model.code_activation to elu in place of tanh",
        ),
        (DeepConfig(hidden_sizes=(8,), activation="elu"), "Lower training.learning_rate from 0.01 to 0.001"),
        # Layers pretrained as Boltzmann machines, or by cross-entropy on codes, must be logistic.
        (StackedDenoisingConfig(hidden_sizes=(8, 4)), "Lower training.learning_rate from 0.01 to 0.001"),
        (
            StackedDenoisingConfig(
                hidden_sizes=(8, 4),
                loss="mse",
                noise=LayerNoiseConfig(level=0),
                pretraining=PretrainingConfig(method="contrastive_divergence"),
            ),
            "Lower training.learning_rate from 0.01 to 0.001",
        ),
        (StackedDenoisingConfig(hidden_sizes=(8, 4), loss="mse"), "Set model.activation to elu in place of"),
    ],
)
def test_advice_against_saturation_names_an_effective_and_valid_setting(model: Any, advice: str) -> None:
    layer = next(layer for layer in hidden_layers(model) if layer.activation in ("tanh", "sigmoid", "elu"))
    flat = np.array([[-0.9999], [-0.9998]]) if layer.activation != "sigmoid" else np.array([[1e-4], [2e-4]])
    assert found(one_layer(flat, layer))[FindingName.SATURATED].advice.startswith(advice)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (ShallowConfig(activation="elu"), [("elu", "activation")]),
        (
            DeepConfig(hidden_sizes=(8, 4), activation="tanh", code_activation="sigmoid", decoder_sizes=(9,)),
            [("tanh", "activation"), ("tanh", "activation"), ("sigmoid", "code_activation"), ("tanh", "activation")],
        ),
        (
            StackedDenoisingConfig(hidden_sizes=(8, 4), code_activation="linear"),
            [("sigmoid", "activation"), ("linear", "code_activation"), ("sigmoid", "activation")],
        ),
    ],
)
def test_each_hidden_layer_has_the_setting_of_its_activation(model: Any, expected: list[tuple[str, str]]) -> None:
    found = [(layer.activation, layer.setting.removeprefix("model.")) for layer in hidden_layers(model)]
    assert found == expected


def test_settings_are_read_from_a_trial_config() -> None:
    training = TrainingConfig(learning_rate=0.01)
    shallow = settings_of(ShallowConfig(hidden_size=9, hidden_l1=0.5, noise=NoiseConfig(level=0.2)), training)
    assert shallow == Settings(9, "model.hidden_size", 0.01, noise_level=0.2, hidden_l1=0.5, epochs=20)
    assert settings_of(DeepConfig(code_size=3), training).size_setting == "model.code_size"


def test_pretraining_noise_does_not_count_as_noise_of_the_whole_network() -> None:
    stacked = settings_of(StackedDenoisingConfig(hidden_sizes=(30, 20, 10)), TrainingConfig())
    assert (stacked.code_size, stacked.noise_level, stacked.denoises) == (10, 0.0, False)


def test_a_stack_is_not_judged_by_denoising_it_is_not_trained_for() -> None:
    errors, denoised = [0.05, 0.04, 0.03], [0.03, 0.035, 0.04]
    both = [
        (epoch, {"train/loss": 1 / epoch, "valid/mse": mse, "valid/denoise_mse": noisy})
        for epoch, (mse, noisy) in enumerate(zip(errors, denoised, strict=True), start=1)
    ]
    stack = replace(GOOD, history=both, train_mse=0.028, settings=replace(GOOD.settings, denoises=False))
    assert found(stack).keys() & {FindingName.OVERFITTING, FindingName.STILL_IMPROVING} == {FindingName.STILL_IMPROVING}
    denoiser = replace(stack, settings=replace(GOOD.settings, noise_level=0.3))
    assert found(denoiser).keys() & {FindingName.OVERFITTING, FindingName.STILL_IMPROVING} == {FindingName.OVERFITTING}


def test_findings_are_sorted_by_severity() -> None:
    constant = np.full((300, 49), 30.0)
    layers = (layer_statistics(np.zeros((300, 16)), RELU),)
    history_of_gains = history(*np.linspace(60, 50, 20) * MEAN)
    far = replace(
        GOOD, history=history_of_gains, train_mse=50 * MEAN, reconstructions=constant, layers=layers, filters=None
    )
    severities = [finding.severity for finding in diagnose(far)]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.FAILURE


def test_idle_units_are_a_note_in_a_network_that_does_what_its_size_allows() -> None:
    flat = np.where(np.arange(16) < 5, 0.9999 + 1e-5 * RNG.random((300, 16)), RNG.uniform(-0.5, 0.5, (300, 16)))
    dies = np.where(np.arange(16) < 5, 0.0, RNG.random((300, 16)))
    for outputs, settings, name in ((flat, TANH, FindingName.SATURATED), (dies, RELU, FindingName.DEAD)):
        healthy = one_layer(outputs, settings)
        assert found(healthy)[name].severity is Severity.NOTE
        worse = replace(healthy, history=history(*[PCA_16 + 0.2 * MEAN] * 4))
        assert found(worse)[name].severity is Severity.WARNING
    assert found(one_layer(np.zeros((300, 16)), RELU))[FindingName.DEAD].severity is Severity.WARNING


def test_noise_and_penalties_may_cost_more_than_pca() -> None:
    worse = replace(GOOD, history=history(*[PCA_16 + 0.2 * MEAN] * 4))
    assert found(worse)[FindingName.WORSE_THAN_PCA].severity is Severity.WARNING
    for price in ({"noise_level": 0.2}, {"hidden_l1": 1e-3}):
        paid = replace(worse, settings=replace(GOOD.settings, **price))
        assert found(paid)[FindingName.WORSE_THAN_PCA].severity is Severity.NOTE


def test_a_penalty_that_leaves_the_variance_explained_is_a_note() -> None:
    penalised = replace(GOOD, settings=replace(GOOD.settings, hidden_l1=1e-3), last_loss=LossTerms(0.5, 0.5))
    assert found(penalised)[FindingName.PENALTY].severity is Severity.WARNING
    assert found(replace(penalised, history=history(0.04 * MEAN)))[FindingName.PENALTY].severity is Severity.NOTE


def test_the_advice_says_what_the_change_does() -> None:
    settings = replace(GOOD.settings, hidden_l1=5.0, weight_l1=0.3)
    finding = found(replace(GOOD, settings=settings, last_loss=LossTerms(0.5, 0.5)))[FindingName.PENALTY]
    assert finding.change == {"model.weight_l1": 0.03, "model.hidden_l1": 0.5}
    assert all(str(change) in finding.advice.replace("Lower", "lower") for change in finding.changes)


def test_only_findings_that_block_a_promotion_by_default_are_failures() -> None:
    failures = {name for name in FindingName if Finding(name, {}, "").severity is Severity.FAILURE}
    assert failures == set(PromotionConfig().blocking)


def test_stored_findings_without_a_severity_have_that_of_their_name() -> None:
    stored = [{"name": str(name), "evidence": {}, "advice": "x"} for name in FindingName]
    completed = with_severities(stored)
    assert completed is not None
    assert {finding["severity"] for finding in completed} == {"failure", "warning", "note"}
    assert severity_of({"name": "collapsed to the mean"}) is Severity.FAILURE
    assert severity_of({"name": "dead units", "severity": "note"}) is Severity.NOTE
    assert with_severities(None) is None
