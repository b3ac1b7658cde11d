"""What is measured of an autoencoder: reconstruction beside simple references, and what its codes are like.

Everything here is a pure function of NumPy arrays; scikit-learn is imported by the first `probe_error`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.models.pca import PrincipalComponents, centred_chunks, fit_pca

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Half a unit in float32's last place is 6e-8 of a value: what varies by less than a few of those is constant.
_ROUNDING = 1e-6
# A reference error below this share of the data's variance is float64's rounding: PCA reconstructs exactly.
_EXACT = 1e-12


@dataclass(frozen=True)
class References:
    """What simple models reach on the validation split: the numbers to hold an autoencoder's error against.

    `pca_mse[k]` is the mean squared error over samples and features of PCA with k components, fitted on train; its
    length is n_features + 1. `pca_mse[0]` is the predictor that always answers the training mean. Training data of
    rank r determine r components only: from r on the values are those of r.
    """

    pca_mse: Floats

    @property
    def mean_mse(self) -> float:
        """Error of the predictor that always answers the training mean."""
        return float(self.pca_mse[0])

    @property
    def n_features(self) -> int:
        """How many features a sample has."""
        return len(self.pca_mse) - 1

    def pca(self, code_size: int | None) -> float | None:
        """Error of PCA with `code_size` components; None where that many do not narrow the input or PCA is exact.

        A `code_size` of None stands for a model without a code.
        """
        if code_size is None or code_size >= self.n_features or self.pca_mse[code_size] <= _EXACT * self.pca_mse[0]:
            return None
        return float(self.pca_mse[code_size])


def references(train: Array, valid: Array, scale: float) -> References:
    """Fit PCA of every size on `train` by one decomposition and measure it on `valid`, both (samples, features).

    Inputs are multiplied by `scale` first.
    """
    return references_of(fit_pca(train, scale), valid, scale)


def references_of(pca: PrincipalComponents, valid: Array, scale: float) -> References:
    """Measure PCA of every size on `valid` (samples, features), which is multiplied by `scale` first.

    All arithmetic is float64, on chunks of bounded size.
    """
    components = pca.components
    energy = np.zeros(components.shape[1])  # of valid along each component
    outside = 0.0  # of valid along no component
    for chunk in centred_chunks(valid, pca.mean, scale):
        along = chunk @ components  # (rows, n_components)
        energy += np.einsum("rc,rc->c", along, along)
        if components.shape[1] < components.shape[0]:
            residual = chunk - along @ components.T
            outside += float(np.einsum("rf,rf->", residual, residual))
    # With an orthonormal basis, what k components leave is the energy along all others: a sum without cancellation.
    outside += float(energy[pca.rank :].sum())
    left = outside + np.append(np.cumsum(energy[: pca.rank][::-1])[::-1], 0.0)  # (rank + 1,)
    pca_mse = np.full(len(pca.mean) + 1, left[-1])
    pca_mse[: pca.rank + 1] = left
    return References(pca_mse / max(valid.size, 1))


def r2(mse: float, references: References) -> float:
    """Share of the validation split's variance explained: 1 - mse / mse of the training-mean predictor.

    Where that predictor is exact, 1 for an exact reconstruction and 0 for any other, as in scikit-learn's `r2_score`.
    """
    if references.mean_mse == 0:
        return 1.0 if mse == 0 else 0.0
    return 1.0 - mse / references.mean_mse


def mse_over_pca(mse: float, code_size: int | None, references: References) -> float | None:
    """Error relative to PCA with as many components as the code; None where the code is no bottleneck or PCA is exact.

    A linear autoencoder cannot go below 1 on the data it was trained on (Baldi and Hornik 1989).
    """
    floor = references.pca(code_size)
    return None if floor is None else mse / floor


def code_sparsity(codes: Array) -> float:
    """Sparseness of the codes (samples, units), mean over samples: 0 where all units are equally strong, 1 for one.

    sparseness(h) = (sqrt(n) - |h|_1 / |h|_2) / (sqrt(n) - 1) (Hoyer 2004, section 3.1); it does not change when a code
    is scaled, so no penalty can raise it by shrinking. A code of zeros counts as 1, a code of a single unit as 0.
    For batches, weigh each batch's value by its size.
    """
    n_units = codes.shape[1]
    if n_units < 2 or len(codes) == 0:
        return 0.0
    strength = np.abs(codes, dtype=np.float64)
    strength /= np.maximum(strength.max(axis=1, keepdims=True), np.finfo(np.float64).tiny)  # no square underflows
    l1 = strength.sum(axis=1)
    l2 = np.sqrt(np.einsum("su,su->s", strength, strength))
    ratio = np.divide(l1, l2, out=np.ones_like(l1), where=l2 != 0)
    return float(np.mean((np.sqrt(n_units) - ratio) / (np.sqrt(n_units) - 1)))


def dead_units(codes: Array) -> float:
    """Share of the code's units that are constant over all `codes` (samples, units): they tell nothing of the input."""
    return float(np.mean(constant_units(codes))) if codes.size else 0.0


def constant_units(codes: Array) -> NDArray[np.bool_]:
    """Which units (units,) are constant over all `codes` (samples, units), but for float32's rounding.

    For batches, keep each unit's smallest and largest value and pass those two rows: the answer is the same.
    """
    low, high = codes.min(axis=0), codes.max(axis=0)  # (units,)
    constant: NDArray[np.bool_] = high - low <= _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return constant


def filter_structure(filters: Array, image_shape: tuple[int, int]) -> float:
    """Lag-1 spatial autocorrelation of filters (units, features) seen as images, mean over filters.

    The correlation of each pixel with its right and its lower neighbour, within a filter: 0 for noise, near 1 for
    strokes and blobs. Constant filters do not count; without others the answer is 0.
    """
    images = filters.reshape(-1, *image_shape).astype(np.float64)
    images = images - images.mean(axis=(1, 2), keepdims=True)
    variances = np.square(images).mean(axis=(1, 2))
    varied = variances > np.square(_ROUNDING * np.abs(filters).max(axis=1, initial=0.0))
    if not varied.any():
        return 0.0
    images = images[varied]
    to_the_right = (images[:, :, 1:] * images[:, :, :-1]).mean(axis=(1, 2))
    below = (images[:, 1:] * images[:, :-1]).mean(axis=(1, 2))
    return float(np.mean((to_the_right + below) / (2 * variances[varied])))


def probe_error(train_codes: Array, train_labels: Array, valid_codes: Array, valid_labels: Array) -> float:
    """Share of `valid_labels` that a linear classifier on the codes gets wrong; see `linear_answers`."""
    return float(np.mean(linear_answers(train_codes, train_labels, valid_codes) != valid_labels))


def linear_answers(train_codes: Array, train_labels: Array, codes: Array) -> Array:
    """Labels (samples,) that a linear classifier, fitted on the training codes, gives to `codes` (samples, units).

    Multinomial logistic regression with scikit-learn's default L2 penalty, on codes standardised by the training
    codes' mean and standard deviation. Nothing in it is random; one thread does it, because matrices as small as these
    take several threads ten times as long, and because sums split among threads would round by their number. Where
    `train_labels` hold one class, that is the answer for every sample.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if len(np.unique(train_labels)) == 1:
        return np.full(len(codes), train_labels[0])
    with threadpool_limits(limits=1):
        scaler = StandardScaler().fit(train_codes.astype(np.float64))
        # A gradient below 1e-3 moves the error by less than the choice of samples does, in half the steps of 1e-4.
        classifier = LogisticRegression(tol=1e-3, max_iter=1000)
        classifier.fit(scaler.transform(train_codes.astype(np.float64)), train_labels)
        answers: Array = classifier.predict(scaler.transform(codes.astype(np.float64)))
    return answers
