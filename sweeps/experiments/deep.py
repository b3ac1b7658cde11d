"""Whether a deep autoencoder beats PCA on MNIST: Hinton and Salakhutdinov (2006), rebuilt in Keras.

Answer: nonlinear layers leave less than PCA of the same size; linear ones, however many, come down to PCA.
"""

from itertools import pairwise

from sweeps.experiments.claims import Claim, Finding, Run, median, spread
from sweeps.experiments.finished import FinishedRun

ELU = Run("hs2d-elu")
LINEAR = Run("hs2d-linear")
ORIGINAL = Run("hs2d-original")
THIRTY = Run("hs30")

PIXELS = 784


def _pca_2(run: FinishedRun) -> Finding:
    pca = run.only.metric("valid/mse") / run.only.metric("valid/mse_over_pca")
    return Finding(f"{pca:.4f}", (pca,), f"{pca:.3f}" == "0.056")


def _errors(run: FinishedRun, epoch: int) -> tuple[float, ...]:
    """The validation error of each seed after an epoch."""
    return run.values(lambda trial: trial.history[epoch]["valid/mse"])


def _epoch(run: FinishedRun, epoch: int, target: float, tolerance: float) -> Finding:
    errors = _errors(run, epoch)
    middle = median(errors)
    return Finding(f"{middle:.4f} ({spread(errors, '.4f')})", errors, abs(middle - target) <= tolerance)


def _falling(run: FinishedRun) -> Finding:
    medians = [median(_errors(run, epoch)) for epoch in range(1, 6)]
    words = " ".join(f"{value:.4f}".removeprefix("0") for value in medians)
    return Finding(words, tuple(medians), all(before > after for before, after in pairwise(medians)))


def _linear_over_pca(run: FinishedRun) -> Finding:
    """On the training samples, where the recipe validates; PCA is the floor of every epoch."""
    curve = run.only.curve("valid/mse_over_pca")
    best = run.only.metric("valid/mse_over_pca")
    return Finding(
        f"{best:.4f}, lowest of {len(curve)} epochs {min(curve):.4f}", (best,), min(curve) >= 1 and best <= 1.01
    )


def _original(run: FinishedRun) -> Finding:
    ratio = run.only.tested()["test/mse_over_pca"]
    return Finding(f"{ratio:.3f} × PCA-2", (ratio,), ratio < 1)


def _squares_per_image(run: FinishedRun) -> Finding:
    squares = PIXELS * run.only.tested()["test/mse"]
    return Finding(f"{squares:.2f}", (squares,), squares <= 3.0)


def _pca_30(run: FinishedRun) -> Finding:
    tested = run.only.tested()
    squares = PIXELS * tested["test/mse"] / tested["test/mse_over_pca"]
    return Finding(f"{squares:.1f}", (squares,), None)


CLAIMS = (
    Claim("PCA with 2 components, train MSE", "0.056", "rounds to it", (LINEAR,), _pca_2),
    Claim("train MSE of linear layers over PCA-2", "PCA", "1.00 to 1.01, never below", (LINEAR,), _linear_over_pca),
    Claim(
        "valid MSE in epoch 1, median of 5 seeds",
        ".0482",
        ".048 ± .003",
        (ELU,),
        lambda run: _epoch(run, 1, 0.048, 0.003),
    ),
    Claim(
        "valid MSE in epoch 5, median of 5 seeds",
        ".0407",
        ".041 ± .0015",
        (ELU,),
        lambda run: _epoch(run, 5, 0.041, 0.0015),
    ),
    Claim("valid MSE in epochs 1 to 5, medians", ".0482 .0448 .0430 .0416 .0407", "falling", (ELU,), _falling),
    Claim("test MSE of a code of 2, logistic units", "below PCA-2", "below PCA-2", (ORIGINAL,), _original),
    Claim("test squared error per image, code of 30", "3.00", "at most 3.0", (THIRTY,), _squares_per_image),
    Claim("test squared error per image, PCA-30", "13.9", "", (THIRTY,), _pca_30),
)
