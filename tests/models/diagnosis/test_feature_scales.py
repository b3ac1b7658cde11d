"""Features of very different scales: found where they keep features from being learned, in place of what follows."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from metric_references import references

from sweeps.models.config import ShallowConfig, StackedDenoisingConfig, TrainingConfig
from sweeps.models.diagnosis.diagnosis import diagnose
from sweeps.models.diagnosis.evidence import Evidence, Settings, settings_of
from sweeps.models.diagnosis.feature_scales import FeatureScales, feature_scales
from sweeps.models.diagnosis.findings import FindingName, Severity

RNG = np.random.default_rng(0)
SCALES = 10.0 ** np.linspace(-13, 8.5, 20)
TABLE = RNG.normal(size=(300, 20)) * SCALES
REFERENCES = references(TABLE, TABLE, 1.0)
# The largest feature is learned, the others are their mean: 0.
ONLY_THE_LARGEST = np.where(np.arange(20) == 19, TABLE, 0.0)


def evidence(reconstructions: Any = ONLY_THE_LARGEST, originals: Any = TABLE, **changed: Any) -> Evidence:
    mse = float(np.square(reconstructions - originals).mean())
    return Evidence(
        settings=Settings(8, "model.hidden_size", 0.01),
        references=references(originals, originals, 1.0),
        history=[(epoch, {"train/loss": mse, "valid/mse": mse}) for epoch in range(1, 4)],
        originals=originals,
        reconstructions=reconstructions,
        scales=feature_scales(originals),
        **changed,
    )


def names(of: Evidence) -> list[FindingName]:
    return [finding.name for finding in diagnose(of)]


def test_scales_are_those_of_the_features_that_vary() -> None:
    table = np.concatenate([TABLE, np.full((300, 3), 7.0)], axis=1)
    scales = feature_scales(table)
    deviations = np.sort(TABLE.std(axis=0))

    assert scales is not None
    assert scales.ratio == pytest.approx(deviations[-1] / deviations[0])
    assert scales.small_half == pytest.approx(np.square(deviations[:10]).sum() / np.square(deviations).sum())
    assert feature_scales(np.full((9, 3), 1.0)) is None


def test_it_is_the_only_finding_and_names_the_evidence() -> None:
    (finding,) = diagnose(evidence())

    assert finding.name is FindingName.DIFFERENT_SCALES
    assert finding.change == {"model.standardize": "feature"}
    assert finding.advice.startswith("Set model.standardize to feature")
    assert finding.severity is Severity.FAILURE
    assert finding.evidence["largest deviation over the smallest"] > 1e20
    assert finding.evidence["share of features no better than their mean"] == pytest.approx(0.95)
    assert finding.evidence["share of the error from one feature"] > 0.8


def test_it_takes_the_place_of_its_consequences() -> None:
    at_the_mean = np.zeros_like(TABLE)
    assert names(evidence(at_the_mean)) == [FindingName.DIFFERENT_SCALES]
    assert FindingName.COLUMN_MEAN in names(replace(evidence(at_the_mean), scales=None))


def test_features_that_are_learned_in_spite_of_their_scales_are_no_finding() -> None:
    assert FindingName.DIFFERENT_SCALES not in names(evidence(0.8 * TABLE))


@pytest.mark.parametrize("ratio", [1.0, 30.0])
def test_similar_scales_are_no_finding(ratio: float) -> None:
    table = RNG.normal(size=(300, 20)) * np.where(np.arange(20) < 10, 1.0, ratio)
    assert FindingName.DIFFERENT_SCALES not in names(evidence(np.zeros_like(table), table))


def test_images_that_are_nearly_always_black_are_no_finding() -> None:
    images = RNG.random((300, 64)) * (RNG.random((300, 64)) < np.linspace(0.003, 0.6, 64))
    assert FindingName.DIFFERENT_SCALES not in names(evidence(np.zeros_like(images), images))


@pytest.mark.parametrize(("differ", "expected"), [(True, "DIFFERENT_SCALES"), (False, "LEARNING_RATE")])
def test_a_divergence_is_due_to_the_scales_if_they_differ(differ: bool, expected: str) -> None:
    scales = FeatureScales(1e10, 1e-12 if differ else 0.2)
    history = [(1, {"train/loss": math.nan, "valid/mse": math.nan})]
    diverged = Evidence(Settings(8, "model.hidden_size", 0.01), REFERENCES, history, scales=scales)
    assert names(diverged) == [FindingName[expected]]


def test_the_advice_can_be_followed_where_outputs_are_bounded() -> None:
    for model in (StackedDenoisingConfig(fine_tuning="reconstruction"), ShallowConfig(output_activation="sigmoid")):
        of = replace(evidence(), settings=settings_of(model, TrainingConfig()))
        (finding,) = diagnose(of)
        changed = {f"model.{name}": value for name, value in model.model_dump().items()} | finding.change
        assert changed["model.standardize"] == "feature"
        assert (changed["model.output_activation"], changed["model.loss"]) == ("linear", "mse")
