"""Whether a deep autoencoder beats PCA on MNIST: Hinton and Salakhutdinov (2006), rebuilt in Keras.

Answer: nonlinear layers have a lower error than PCA with the same code size; linear layers, however many, reach PCA.
"""

from itertools import pairwise

from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant, median, spread
from sweeps.experiments.trained_sweep import TrainedSweep

ELU = RecipeVariant("hs2d-elu")
LINEAR = RecipeVariant("hs2d-linear")
ORIGINAL = RecipeVariant("hs2d-original")
THIRTY = RecipeVariant("hs30")

PIXELS = 784


def _pca_2(sweep: TrainedSweep) -> ClaimResult:
    pca = sweep.best.metric("valid/mse") / sweep.best.metric("valid/mse_over_pca")
    return ClaimResult(f"{pca:.4f}", (pca,), f"{pca:.3f}" == "0.056")


def _errors(sweep: TrainedSweep, epoch: int) -> tuple[float, ...]:
    """Return the validation error of each seed after an epoch."""
    return sweep.values(lambda trial: trial.history[epoch]["valid/mse"])


def _epoch(sweep: TrainedSweep, epoch: int, target: float, tolerance: float) -> ClaimResult:
    errors = _errors(sweep, epoch)
    middle = median(errors)
    return ClaimResult(f"{middle:.4f} ({spread(errors, '.4f')})", errors, abs(middle - target) <= tolerance)


def _falling(sweep: TrainedSweep) -> ClaimResult:
    medians = [median(_errors(sweep, epoch)) for epoch in range(1, 6)]
    words = " ".join(f"{value:.4f}".removeprefix("0") for value in medians)
    return ClaimResult(words, tuple(medians), all(before > after for before, after in pairwise(medians)))


def _linear_over_pca(sweep: TrainedSweep) -> ClaimResult:
    """Require at most 1.01 times PCA's error, and no epoch below PCA; the recipe validates on the training samples."""
    curve = sweep.best.curve("valid/mse_over_pca")
    best = sweep.best.metric("valid/mse_over_pca")
    return ClaimResult(
        f"{best:.4f}, lowest of {len(curve)} epochs {min(curve):.4f}", (best,), min(curve) >= 1 and best <= 1.01
    )


def _original(sweep: TrainedSweep) -> ClaimResult:
    ratio = sweep.best.test_metrics()["test/mse_over_pca"]
    return ClaimResult(f"{ratio:.3f} × PCA-2", (ratio,), ratio < 1)


def _squares_per_image(sweep: TrainedSweep) -> ClaimResult:
    squares = PIXELS * sweep.best.test_metrics()["test/mse"]
    return ClaimResult(f"{squares:.2f}", (squares,), squares <= 3.0)


def _pca_30(sweep: TrainedSweep) -> ClaimResult:
    tested = sweep.best.test_metrics()
    squares = PIXELS * tested["test/mse"] / tested["test/mse_over_pca"]
    return ClaimResult(f"{squares:.1f}", (squares,), None)


CLAIMS = (
    Claim("PCA with 2 components, train MSE", "0.056", "rounds to it", (LINEAR,), _pca_2),
    Claim("train MSE of linear layers over PCA-2", "PCA", "1.00 to 1.01, never below", (LINEAR,), _linear_over_pca),
    Claim(
        "valid MSE in epoch 1, median of the seeds",
        ".0482",
        ".048 ± .003",
        (ELU,),
        lambda sweep: _epoch(sweep, 1, 0.048, 0.003),
    ),
    Claim(
        "valid MSE in epoch 5, median of the seeds",
        ".0407",
        ".041 ± .0015",
        (ELU,),
        lambda sweep: _epoch(sweep, 5, 0.041, 0.0015),
    ),
    Claim("valid MSE in epochs 1 to 5, medians", ".0482 .0448 .0430 .0416 .0407", "falling", (ELU,), _falling),
    Claim("test MSE of a code of 2, logistic units", "below PCA-2", "below PCA-2", (ORIGINAL,), _original),
    Claim("test squared error per image, code of 30", "3.00", "at most 3.0", (THIRTY,), _squares_per_image),
    Claim("test squared error per image, PCA-30", "13.9", "", (THIRTY,), _pca_30),
)
