"""Metrics of an autoencoder: its reconstruction error relative to simple references, and properties of its codes.

Pure functions of NumPy arrays. The first `probe_error` imports scikit-learn.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.image_shape import as_images
from sweeps.models.pca import PrincipalComponents, centred_chunks

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Float32 rounds a value by up to 6e-8 of it: anything that varies by only a few times that is constant.
_ROUNDING = 1e-6
# A reference error below this share of the data's variance is float64 rounding: PCA reconstructs exactly.
_EXACT = 1e-12
_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class References:
    """Errors of simple models on the validation split, to compare an autoencoder's error with.

    `pca_mse[k]` is the mean squared error over samples and features of PCA with k components, fitted on train; its
    length is n_features + 1. `pca_mse[0]` is the error of the mean predictor, which outputs the training mean for every
    sample. Training data of rank r determine only r components: from r on, all values are equal.
    """

    pca_mse: Floats

    @property
    def mean_mse(self) -> float:
        """The error of the mean predictor."""
        return float(self.pca_mse[0])

    @property
    def n_features(self) -> int:
        """The number of features of a sample."""
        return len(self.pca_mse) - 1

    def pca(self, code_size: int | None) -> float | None:
        """Return the error of PCA with `code_size` components; None if that is no bottleneck or PCA is exact.

        A `code_size` of None means a model without a code.
        """
        if code_size is None or code_size >= self.n_features or self.pca_mse[code_size] <= _EXACT * self.pca_mse[0]:
            return None
        return float(self.pca_mse[code_size])


def references_of(pca: PrincipalComponents, valid: Array, scale: float) -> References:
    """Measure PCA of every size on `valid` (samples, features), which is multiplied by `scale` first.

    All arithmetic is float64, on chunks of bounded size. Missing values, NaN, count as the training mean where PCA
    encodes a sample, and do not count in its error.
    """
    components = pca.components
    energy = np.zeros(components.shape[1])  # of `valid`, along each component
    outside = 0.0  # of `valid`, orthogonal to all components
    n_missing, at_missing = 0, np.zeros(pca.rank + 1)  # squared reconstructions of missing values, by components
    for chunk in centred_chunks(valid, pca.mean, scale):
        is_missing = np.isnan(chunk)
        chunk[is_missing] = 0
        along = chunk @ components  # (rows, n_components)
        energy += np.einsum("rc,rc->c", along, along)
        if components.shape[1] < components.shape[0]:
            residual = chunk - along @ components.T
            outside += float(np.einsum("rf,rf->", residual, residual))
        if is_missing.any():
            n_missing += int(is_missing.sum())
            at_missing[1:] += _squared_reconstructions(along[:, : pca.rank], components[:, : pca.rank], is_missing)
    # With an orthonormal basis, the error of k components is the energy along all others: a sum without cancellation.
    outside += float(energy[pca.rank :].sum())
    residuals = outside + np.append(np.cumsum(energy[: pca.rank][::-1])[::-1], 0.0)  # (rank + 1,)
    if n_missing:
        # The residual of a missing value, at the mean, is its reconstruction: subtract what it should not add.
        residuals = np.maximum(residuals - at_missing, 0.0)
    pca_mse = np.full(len(pca.mean) + 1, residuals[-1])
    pca_mse[: pca.rank + 1] = residuals
    return References(pca_mse / max(valid.size - n_missing, 1))


def _squared_reconstructions(along: Floats, components: Array, is_missing: NDArray[np.bool_]) -> Floats:
    """Return the sum of the squared centred reconstructions of missing values, by number of components: (n,).

    Codes `along` are (rows, n), `components` (features, n), `is_missing` (rows, features).
    """
    total = np.zeros(along.shape[1])
    rows, features = np.nonzero(is_missing)
    n_at_once = max(1, _VALUES_AT_ONCE // max(1, along.shape[1]))
    for start in range(0, len(rows), n_at_once):
        some = slice(start, start + n_at_once)
        reconstructions = np.cumsum(along[rows[some]] * components[features[some]], axis=1)  # (values, n)
        total += np.einsum("vc,vc->c", reconstructions, reconstructions)
    return total


def r2(mse: float, references: References) -> float:
    """Return the explained share of the validation split's variance: 1 - mse / mse of the mean predictor.

    If that predictor is exact: 1 for an exact reconstruction, 0 for any other, as scikit-learn's `r2_score`.
    """
    if references.mean_mse == 0:
        return 1.0 if mse == 0 else 0.0
    return 1.0 - mse / references.mean_mse


def mse_over_pca(mse: float, code_size: int | None, references: References) -> float | None:
    """Return the error over that of PCA with `code_size` components; None if that is no bottleneck or PCA is exact.

    On its training data a linear autoencoder cannot reach less than 1 (Baldi and Hornik 1989).
    """
    floor = references.pca(code_size)
    return None if floor is None else mse / floor


def code_sparsity(codes: Array) -> float:
    """Return the sparseness of codes (samples, units), mean over samples: 0 if all units are equal, 1 if one is active.

    sparseness(h) = (sqrt(n) - |h|_1 / |h|_2) / (sqrt(n) - 1) (Hoyer 2004, section 3.1); it does not depend on
    the scale of a code, so a penalty cannot raise it by shrinking the code. A code of zeros counts as 1, a code of a
    single unit as 0. For batches, weight each batch's value by its size.
    """
    n_units = codes.shape[1]
    if n_units < 2 or len(codes) == 0:
        return 0.0
    strength = np.abs(codes, dtype=np.float64)
    strength /= np.maximum(
        strength.max(axis=1, keepdims=True), np.finfo(np.float64).tiny
    )  # so that no square underflows
    l1 = strength.sum(axis=1)
    l2 = np.sqrt(np.einsum("su,su->s", strength, strength))
    ratio = np.divide(l1, l2, out=np.ones_like(l1), where=l2 != 0)
    return float(np.mean((np.sqrt(n_units) - ratio) / (np.sqrt(n_units) - 1)))


def dead_units(codes: Array) -> float:
    """Return the share of the code's units that are constant over all `codes` (samples, units)."""
    return float(np.mean(constant_units(codes))) if codes.size else 0.0


def constant_units(codes: Array) -> NDArray[np.bool_]:
    """Return which units (units,) are constant over all `codes` (samples, units), up to float32 rounding.

    For batches, keep each unit's smallest and largest value and pass those two rows: the result is the same.
    """
    low, high = codes.min(axis=0), codes.max(axis=0)  # (units,)
    constant: NDArray[np.bool_] = high - low <= _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return constant


def filter_structure(filters: Array, image_shape: tuple[int, ...]) -> float:
    """Return the lag-1 spatial autocorrelation of filters (units, features) as images, mean over filters.

    It is the correlation of each pixel with its right and its lower neighbour within a filter: 0 for noise, near 1 for
    strokes and blobs. Each channel of a colour filter counts as a filter. Constant filters are skipped; if all are
    constant, the result is 0.
    """
    images = as_images(filters, image_shape).astype(np.float64)
    if images.ndim > 3:  # (units, height, width, channels)
        images = np.concatenate(np.moveaxis(images, -1, 0))
    largest = np.abs(images).max(axis=(1, 2), initial=0.0)
    images = images - images.mean(axis=(1, 2), keepdims=True)
    variances = np.square(images).mean(axis=(1, 2))
    varied = variances > np.square(_ROUNDING * largest)
    if not varied.any():
        return 0.0
    images = images[varied]
    to_the_right = (images[:, :, 1:] * images[:, :, :-1]).mean(axis=(1, 2))
    below = (images[:, 1:] * images[:, :-1]).mean(axis=(1, 2))
    return float(np.mean((to_the_right + below) / (2 * variances[varied])))


def probe_error(train_codes: Array, train_labels: Array, valid_codes: Array, valid_labels: Array) -> float:
    """Return the share of `valid_labels` that a linear classifier on the codes gets wrong; see `linear_answers`."""
    return float(np.mean(linear_answers(train_codes, train_labels, valid_codes) != valid_labels))


def linear_answers(train_codes: Array, train_labels: Array, codes: Array) -> Array:
    """Return the labels (samples,) that a linear classifier, fitted on the training codes, predicts for `codes`.

    All codes are (samples, units). The classifier is multinomial logistic regression with scikit-learn's default L2
    penalty, on codes standardised by the training codes' mean and standard deviation. If `train_labels` hold a single
    class, it is predicted for every sample. The result is deterministic: a single thread computes it, because rounding
    would depend on the number of threads; on matrices this small, more threads are also ten times slower.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if len(np.unique(train_labels)) == 1:
        return np.full(len(codes), train_labels[0])
    with threadpool_limits(limits=1):
        scaler = StandardScaler().fit(train_codes.astype(np.float64))
        # Stopping at 1e-3 changes the error by less than the choice of samples does, and takes half the steps of 1e-4.
        classifier = LogisticRegression(tol=1e-3, max_iter=1000)
        classifier.fit(scaler.transform(train_codes.astype(np.float64)), train_labels)
        answers: Array = classifier.predict(scaler.transform(codes.astype(np.float64)))
    return answers
