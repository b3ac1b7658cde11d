"""The baseline is a meaningful one, and its losses are those of a reference implementation."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from challengers import STACK
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sweeps.registry.benchmark import data_identity, has_same_data
from sweeps.registry.sample_losses import mean_predictor, sample_losses


@pytest.mark.parametrize(
    ("sections", "name", "loss"),
    [
        ({"model": {"name": "shallow", "hidden_size": 8}}, "PCA with 8 components", "mse"),
        (
            {"model": {"name": "shallow", "hidden_size": 8}, "promotion": {"compare": "probe_error"}},
            "PCA with 8 components",
            "probe_error",
        ),
        (
            {
                "model": {"name": "shallow", "hidden_size": 8, "noise": {"level": 0.1}},
                "objective": {"metric": "valid/denoise_mse"},
            },
            "PCA with 8 components",
            "denoise_mse",
        ),
        ({"model": {"name": "shallow", "hidden_size": 64}}, "the training mean", "mse"),
        ({"model": {"name": "linear"}}, "the training mean", "mse"),
        (
            {"model": {"name": "shallow", "hidden_size": 80, "noise": {"level": 0.1}}},
            "the noisy input, uncorrected",
            "denoise_mse",
        ),
        (
            {"model": {"name": "shallow", "hidden_size": 80}, "objective": {"metric": "valid/probe_error"}},
            "a linear classifier on the inputs",
            "probe_error",
        ),
        ({"model": STACK}, "a linear classifier on the inputs", "classification_error"),
        ({"model": STACK | {"fine_tuning": "reconstruction"}}, "PCA with 40 components", "mse"),
    ],
)
def test_the_baseline_is_pca_if_the_code_is_a_bottleneck_and_gives_its_reason(
    benchmark_of: Any, sections: dict[str, Any], name: str, loss: str
) -> None:
    baseline = benchmark_of(**sections).baseline
    assert (baseline.name, baseline.loss) == (name, loss)
    assert baseline.reason


def test_losses_of_pca_are_those_of_scikit_learn(benchmark_of: Any) -> None:
    benchmark = benchmark_of(model={"name": "shallow", "hidden_size": 5})
    arrays = benchmark.arrays
    train, test = (split.inputs.astype(np.float64) * arrays.scale for split in (arrays.train, arrays.test))
    pca = PCA(5, svd_solver="full").fit(train)
    expected = np.square(pca.inverse_transform(pca.transform(test)) - test).mean(axis=1)
    found = sample_losses(benchmark.baseline.predict, "mse", benchmark.samples)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_losses_of_a_model_that_standardises_features_are_in_units_of_deviations(benchmark_of: Any) -> None:
    benchmark = benchmark_of(model={"name": "shallow", "hidden_size": 8, "standardize": "feature"})
    scaler = StandardScaler().fit(benchmark.arrays.train.inputs.astype(np.float64))
    train = scaler.transform(benchmark.arrays.train.inputs)
    test = np.where(scaler.var_ > 0, scaler.transform(benchmark.arrays.test.inputs), 0)
    pca = PCA(8).fit(train)
    expected = np.square(pca.inverse_transform(pca.transform(test)) - test).mean(axis=1)
    of_mean = sample_losses(mean_predictor(benchmark.arrays), "mse", benchmark.samples)

    found = sample_losses(benchmark.baseline.predict, "mse", benchmark.samples)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    np.testing.assert_allclose(of_mean, np.square(test).mean(axis=1), rtol=1e-5)


def test_losses_of_the_mean_average_to_its_mse(benchmark_of: Any) -> None:
    benchmark = benchmark_of(model={"name": "linear"})
    arrays = benchmark.arrays
    train, test = (split.inputs.astype(np.float64) * arrays.scale for split in (arrays.train, arrays.test))
    found = sample_losses(benchmark.baseline.predict, "mse", benchmark.samples)
    assert found.mean() == pytest.approx(np.square(test - train.mean(axis=0)).mean(), rel=1e-5)


def test_the_uncorrected_input_has_the_loss_of_the_noise(benchmark_of: Any) -> None:
    benchmark = benchmark_of(model={"name": "shallow", "hidden_size": 80, "noise": {"level": 0.3}})
    found = sample_losses(benchmark.baseline.predict, benchmark.baseline.loss, benchmark.samples)
    inputs = benchmark.samples.inputs.astype(np.float64)
    # Masking sets a value to 0 with probability 0.3, so that its square is lost as often.
    assert found.mean() == pytest.approx(0.3 * np.square(inputs).mean(), rel=0.05)
    np.testing.assert_allclose(found, np.square(benchmark.samples.corrupted - inputs).mean(axis=1), rtol=1e-5)


def test_a_classifier_on_the_inputs_predicts_as_scikit_learns_does(benchmark_of: Any) -> None:
    benchmark = benchmark_of(model=STACK)
    arrays = benchmark.arrays
    scaler = StandardScaler().fit(arrays.train.inputs * arrays.scale)
    fitted = LogisticRegression(max_iter=2000).fit(
        scaler.transform(arrays.train.inputs * arrays.scale), arrays.train.labels
    )
    expected = np.mean(fitted.predict(scaler.transform(arrays.test.inputs * arrays.scale)) != arrays.test.labels)
    found = sample_losses(benchmark.baseline.predict, "classification_error", benchmark.samples)
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert found.mean() == pytest.approx(expected, abs=0.01)


def test_the_data_are_the_same_only_with_the_same_test_samples(digits_arrays: Any) -> None:
    tags = data_identity(digits_arrays)
    assert has_same_data(tags, digits_arrays)
    fewer = replace(digits_arrays, test=digits_arrays.test.take(np.arange(10)))
    assert not has_same_data(tags, fewer)
    assert not has_same_data(tags, replace(digits_arrays, checksum="other"))
    assert not has_same_data({}, digits_arrays)
