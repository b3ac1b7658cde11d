import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_references import references
from sklearn.decomposition import PCA

from sweeps.models.pca import fit_pca

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_samples", [200, 12])
def test_components_codes_and_reconstructions_match_scikit_learn(n_samples: int) -> None:
    train, valid = RNG.integers(0, 256, (n_samples, 20)).astype(np.uint8), RNG.random((7, 20))
    theirs = PCA(5, svd_solver="full").fit(train / 255)
    ours = fit_pca(train, 1 / 255).first(5)
    signs = np.sign(np.sum(theirs.components_.T * ours.components, axis=0))
    np.testing.assert_allclose(ours.components, theirs.components_.T * signs, atol=1e-6)
    np.testing.assert_allclose(ours.encode(valid), theirs.transform(valid) * signs, atol=1e-6)
    expected = theirs.inverse_transform(theirs.transform(valid))
    np.testing.assert_allclose(ours.reconstruct(valid), expected, atol=1e-6)


def test_reconstructions_have_the_error_of_the_references() -> None:
    train, valid = RNG.normal(size=(300, 12)) * np.arange(1, 13), RNG.normal(size=(50, 12)) * np.arange(1, 13)
    computed = references(train, valid, 0.5)
    for n_components in (1, 4, 11):
        errors = fit_pca(train, 0.5).first(n_components).reconstruct(valid * 0.5) - valid * 0.5
        assert np.mean(errors**2) == pytest.approx(computed.pca_mse[n_components], rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n_samples=st.integers(3, 30))
def test_the_largest_weight_of_each_component_is_positive_for_mirrored_data_too(seed: int, n_samples: int) -> None:
    train = np.random.default_rng(seed).normal(size=(n_samples, 9))
    components = fit_pca(train, 1.0).components
    assert (components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])] > 0).all()
    # The mirrored data have the same directions of variance, and get them with the same signs.
    rank = fit_pca(train, 1.0).rank
    np.testing.assert_allclose(fit_pca(-train, 1.0).components[:, :rank], components[:, :rank], atol=1e-6)


def test_the_number_of_components_is_limited_by_the_data() -> None:
    pca = fit_pca(RNG.normal(size=(5, 9)), 1.0)
    assert pca.first(100).components.shape == pca.components.shape == (9, 5)
    assert pca.rank == 4


def test_missing_values_count_as_the_mean_of_their_feature() -> None:
    train, valid = RNG.normal(3, 2, size=(50, 6)), RNG.normal(3, 2, size=(9, 6))
    train[RNG.random(train.shape) < 0.2] = np.nan
    valid[RNG.random(valid.shape) < 0.2] = np.nan
    mean = np.nanmean(train, axis=0)
    pca, complete = fit_pca(train, 1.0), fit_pca(np.where(np.isnan(train), mean, train), 1.0)
    np.testing.assert_allclose(pca.mean, mean)
    np.testing.assert_allclose(pca.components, complete.components, atol=1e-12)
    np.testing.assert_allclose(pca.encode(valid), complete.encode(np.where(np.isnan(valid), mean, valid)), atol=1e-12)
