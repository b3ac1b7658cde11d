import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from metric_references import references
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_info, threadpool_limits

from sweeps.models.metrics import (
    References,
    code_sparsity,
    dead_units,
    filter_structure,
    mse_over_pca,
    probe_error,
    r2,
    references_of,
)
from sweeps.models.pca import fit_pca

Array = NDArray[Any]
CODES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e3, 1e3, width=32))


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array, Array]:
    data = load_digits()
    inputs = data.data.astype(np.uint8)
    return inputs[:1400], inputs[1400:], data.target


def blobs(rows: slice) -> Array:
    images = np.zeros((784, 28, 28))
    images[np.arange(784), np.arange(784) // 28, np.arange(784) % 28] = 2
    blurred = [gaussian_filter(image, 2, mode="nearest", truncate=4) for image in images]
    return np.stack(blurred).reshape(784, 784)[rows]


def scikit_mse(train: Array, valid: Array, n_components: int) -> float:
    pca = PCA(n_components, svd_solver="full").fit(train)
    return float(np.mean((pca.inverse_transform(pca.transform(valid)) - valid) ** 2))


@pytest.mark.parametrize("n_components", [1, 2, 16, 60])
def test_pca_reference_matches_scikit_learn(digits: tuple[Array, Array, Array], n_components: int) -> None:
    train, valid, _ = digits
    ours = references(train, valid, 1 / 16).pca_mse[n_components]
    assert ours == pytest.approx(scikit_mse(train / 16, valid / 16, n_components), rel=1e-9)


@pytest.mark.parametrize("n_components", [1, 10, 29])
def test_pca_reference_matches_scikit_learn_with_fewer_samples_than_features(
    digits: tuple[Array, Array, Array], n_components: int
) -> None:
    train, valid, _ = digits
    ours = references(train[:30], valid, 1 / 16).pca_mse[n_components]
    assert ours == pytest.approx(scikit_mse(train[:30] / 16, valid / 16, n_components), rel=1e-9)


def test_reference_with_no_components_is_the_training_mean(digits: tuple[Array, Array, Array]) -> None:
    train, valid, _ = digits
    mean_mse = np.mean((valid / 16 - (train / 16).mean(axis=0)) ** 2)
    assert references(train, valid, 1 / 16).mean_mse == pytest.approx(mean_mse, rel=1e-12)


def test_components_beyond_the_rank_of_train_add_nothing() -> None:
    rng = np.random.default_rng(0)
    train, valid = rng.normal(size=(4, 9)), rng.normal(size=(50, 9))
    pca_mse = references(train, valid, 1.0).pca_mse
    assert len(pca_mse) == 10
    np.testing.assert_array_equal(pca_mse[3:], pca_mse[3])
    assert pca_mse[3] > 0.1


def test_rank_is_found_where_a_feature_never_varies() -> None:
    rng = np.random.default_rng(0)
    train, valid = rng.normal(size=(200, 5)), rng.normal(size=(50, 5))
    train[:, 2] = 1.0
    pca_mse = references(train, valid, 1.0).pca_mse
    assert pca_mse[4] == pca_mse[5] == pytest.approx(np.mean((valid[:, 2] - 1) ** 2) / 5)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_more_components_never_raise_the_error(n_samples: int, n_features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pca_mse = references(rng.normal(size=(n_samples, n_features)), rng.normal(size=(7, n_features)), 0.5).pca_mse
    assert pca_mse.shape == (n_features + 1,)
    assert np.all(np.diff(pca_mse) <= 0)
    assert pca_mse[-1] >= 0


def test_chunks_do_not_change_the_references(
    digits: tuple[Array, Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid, _ = digits
    whole = references(train, valid, 1 / 16).pca_mse
    monkeypatch.setattr("sweeps.models.pca._CHUNK_BYTES", 8 * 64 * 37)
    np.testing.assert_allclose(references(train, valid, 1 / 16).pca_mse, whole, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("rows", "zero", "mean", "pca_9", "pca_16"),
    [
        (slice(10, None, 27), "1.428e-04", "1.241e-04", "7.15e-06", "1.48e-07"),
        (slice(None), "1.488e-04", "1.423e-04", "9.06e-05", "6.3e-05"),
    ],
)
def test_blobs_have_the_derived_references(rows: slice, zero: str, mean: str, pca_9: str, pca_16: str) -> None:
    data = blobs(rows)
    found = references(data, data, 1.0)
    assert f"{np.mean(data**2):.3e}" == zero
    assert f"{found.mean_mse:.3e}" == mean
    assert f"{found.pca_mse[9]:.2e}" == pca_9
    assert f"{found.pca_mse[16]:.{2 if len(pca_16) == 8 else 1}e}" == pca_16


@pytest.fixture(scope="module")
def mnist() -> tuple[Array, Array]:
    folder = os.environ.get("SWEEPS_DATA_DIR")
    if not folder:
        pytest.skip("real MNIST is read from SWEEPS_DATA_DIR, which is unset")
    splits = []
    for name in ("train", "t10k"):
        with gzip.open(Path(folder) / "mnist" / f"{name}-images-idx3-ubyte.gz") as file:
            splits.append(np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784))
    return splits[0], splits[1]


def test_pca_of_mnist_with_two_components_rounds_to_the_published_error(mnist: tuple[Array, Array]) -> None:
    train, _ = mnist
    assert round(float(references(train, train, 1 / 255).pca_mse[2]), 3) == 0.056


def test_pca_of_mnist_with_thirty_components_reaches_the_published_test_error(mnist: tuple[Array, Array]) -> None:
    train, test = mnist
    assert round(float(references(train, test, 1 / 255).pca_mse[30]) * 784, 1) == 13.9


def test_r2_matches_scikit_learn(digits: tuple[Array, Array, Array]) -> None:
    train = digits[0] / 16
    # scikit-learn leaves features out that never vary: err in the others only.
    reconstruction = train + np.random.default_rng(0).normal(scale=0.1, size=train.shape) * (train.std(axis=0) > 0)
    ours = r2(float(np.mean((train - reconstruction) ** 2)), references(train, train, 1.0))
    assert ours == pytest.approx(r2_score(train, reconstruction, multioutput="variance_weighted"))


@pytest.mark.parametrize(("mse", "expected"), [(0.0, 1.0), (0.1, 0.0)])
def test_r2_of_constant_data_is_finite(mse: float, expected: float) -> None:
    assert r2(mse, References(np.zeros(5))) == expected


def test_error_over_pca_uses_as_many_components_as_the_code() -> None:
    assert mse_over_pca(0.5, 2, References(np.array([1.0, 0.5, 0.25, 0.0]))) == 2.0


@pytest.mark.parametrize("code_size", [3, 4, 100])
def test_error_over_pca_is_absent_for_an_over_complete_code(code_size: int) -> None:
    assert mse_over_pca(0.5, code_size, References(np.array([1.0, 0.5, 0.25, 0.1]))) is None


def test_error_over_pca_is_absent_where_pca_is_exact() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 6))
    found = references(flat, flat, 1.0)
    assert mse_over_pca(0.5, 1, found) is not None
    assert mse_over_pca(0.5, 2, found) is None


def test_sparsity_follows_hoyers_formula() -> None:
    expected = (np.sqrt(3) - 7 / np.sqrt(21)) / (np.sqrt(3) - 1)
    assert code_sparsity(np.array([[1.0, -2.0, 4.0], [2.0, -4.0, 8.0]])) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([[0, 3, 0, 0]], 1.0), ([[-2, 2, 2, 2]], 0.0), ([[0, 0, 0, 0]], 1.0), ([[5]], 0.0), ([[0, 3], [1, 1]], 0.5)],
)
def test_sparsity_of_known_cases(codes: list[list[float]], expected: float) -> None:
    assert code_sparsity(np.array(codes, np.float32)) == pytest.approx(expected)


@given(CODES, st.floats(1e-30, 1e30))
def test_sparsity_ignores_the_scale_of_the_codes(codes: Array, factor: float) -> None:
    sparsity = code_sparsity(codes)
    assert -1e-9 <= sparsity <= 1 + 1e-9
    assert code_sparsity(codes * factor) == pytest.approx(sparsity, abs=1e-9)


@given(CODES, st.integers(1, 5))
def test_sparsity_of_batches_weighted_by_size_is_that_of_all(codes: Array, cut: int) -> None:
    batches = [batch for batch in (codes[:cut], codes[cut:]) if len(batch)]
    weighted = sum(code_sparsity(batch) * len(batch) for batch in batches) / len(codes)
    assert code_sparsity(codes) == pytest.approx(weighted, abs=1e-12)


def test_dead_units_never_change() -> None:
    codes = np.array([[0, 1, 0.2, 7], [0, 1 + 1e-7, 0.3, 7.1]], np.float32)
    assert dead_units(codes) == 0.5


def test_small_but_varying_units_are_alive() -> None:
    assert dead_units(np.array([[1e-9, 0], [2e-9, 1e-30]], np.float32)) == 0


@given(CODES, st.integers(1, 5))
def test_dead_units_are_found_from_smallest_and_largest_values(codes: Array, cut: int) -> None:
    batches = [batch for batch in (codes[:cut], codes[cut:]) if len(batch)]
    low = np.min([batch.min(axis=0) for batch in batches], axis=0)
    high = np.max([batch.max(axis=0) for batch in batches], axis=0)
    assert dead_units(np.stack([low, high])) == dead_units(codes)


def test_probe_predicts_labels_from_linear_codes(digits: tuple[Array, Array, Array]) -> None:
    train, valid, labels = digits
    error = probe_error(train, labels[:1400], valid, labels[1400:])
    assert 0.02 < error < 0.12
    assert error == probe_error(train, labels[:1400], valid, labels[1400:])


def test_probe_of_uninformative_codes_has_the_error_of_the_most_common_class(
    digits: tuple[Array, Array, Array],
) -> None:
    _, _, labels = digits
    codes = np.zeros((len(labels), 3), np.float32)
    assert probe_error(codes[:1400], labels[:1400], codes[1400:], labels[1400:]) > 0.85


def test_probe_ignores_the_units_scale_and_offset(digits: tuple[Array, Array, Array]) -> None:
    train, valid, labels = digits
    plain = probe_error(train, labels[:1400], valid, labels[1400:])
    moved = probe_error(train * 1e-3 + 5, labels[:1400], valid * 1e-3 + 5, labels[1400:])
    assert moved == pytest.approx(plain, abs=0.01)


def test_probe_does_not_depend_on_the_number_of_threads(digits: tuple[Array, Array, Array]) -> None:
    train, valid, labels = digits
    errors = set()
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            errors.add(probe_error(train, labels[:1400], valid, labels[1400:]))
            assert {pool["num_threads"] for pool in threadpool_info()} == {n_threads}  # left as it was
    assert len(errors) == 1


def test_probe_trained_on_one_class_predicts_that_class() -> None:
    codes = np.ones((4, 2))
    assert probe_error(codes, np.full(4, 3), codes, np.array([3, 3, 3, 1])) == 0.25


def test_importing_the_metrics_loads_numpy_alone() -> None:
    program = "import sys, sweeps.models.metrics; print({'sklearn', 'scipy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_noise_has_no_structure_and_a_stroke_has() -> None:
    noise = np.random.default_rng(0).normal(size=(50, 784))
    stroke = np.exp(-((np.arange(28)[:, None] - 14) ** 2) / 50 + np.zeros((28, 28))).reshape(1, 784)

    assert abs(filter_structure(noise, (28, 28))) < 0.02
    assert filter_structure(stroke, (28, 28)) > 0.95


def test_structure_does_not_change_with_scale_and_offset_and_ignores_constant_filters() -> None:
    filters = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    expected = filter_structure(filters, (4, 4))

    assert filter_structure(-7 * filters + 2, (4, 4)) == pytest.approx(expected, abs=1e-5)
    assert filter_structure(np.concatenate([filters, np.full((2, 16), 0.1)]), (4, 4)) == pytest.approx(expected)
    assert filter_structure(np.zeros((2, 16)), (4, 4)) == 0.0


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(1, 8), st.floats(0, 0.9), st.integers(0, 2**32 - 1))
def test_references_count_only_values_that_are_present(
    n_samples: int, n_features: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    train, valid = rng.normal(2, 1, (n_samples, n_features)), rng.normal(2, 1, (7, n_features))
    train[1:][rng.random((n_samples - 1, n_features)) < share] = np.nan
    valid[1:][rng.random((6, n_features)) < share] = np.nan
    pca = fit_pca(train, 0.5)
    computed = references_of(pca, valid, 0.5).pca_mse
    for n_components in range(n_features + 1):
        kept = pca.components[:, : min(n_components, pca.rank)]
        errors = pca.mean + (np.nan_to_num(valid * 0.5 - pca.mean) @ kept) @ kept.T - valid * 0.5
        assert computed[n_components] == pytest.approx(np.nanmean(errors**2), rel=1e-9, abs=1e-12)


def test_each_channel_of_a_colour_filter_counts_as_a_filter() -> None:
    filters = np.random.default_rng(0).normal(size=(5, 4, 6, 3))
    channels = filters.transpose(3, 0, 1, 2).reshape(15, 24)
    assert filter_structure(filters.reshape(5, 72), (4, 6, 3)) == pytest.approx(filter_structure(channels, (4, 6)))
