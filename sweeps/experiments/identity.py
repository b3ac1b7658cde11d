"""Why one linear layer, 84 to 84, does not learn the identity: a question about Keras.

Answer: it does if the features vary. If their standard deviation is a thousandth of their mean, predicting the mean
already gives a tiny loss; standardised inside the model, the same features are learned within a few epochs.
"""

import numpy as np

from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant, number
from sweeps.experiments.trained_sweep import TrainedSweep
from sweeps.models.diagnosis.findings import FindingName

UNIFORM = RecipeVariant("identity-uniform84")
FIVE = RecipeVariant("identity-uniform84", "5-features", ("data.n_features=5",))
IDENTITY = RecipeVariant(
    "identity-uniform84", "identity-weights", ("model.initialization=identity", "training.epochs=1")
)
RAW = RecipeVariant("identity-raw84")
STANDARDISED = RecipeVariant("identity-standardised84")

CLOSED_FORM = (0.1591, 0.1536, 0.1484)


def _first_epochs(sweep: TrainedSweep) -> ClaimResult:
    errors = sweep.best.curve("valid/mse")[:3]
    near = np.allclose(errors, CLOSED_FORM, rtol=0, atol=0.004)
    return ClaimResult(" ".join(f"{error:.4f}" for error in errors), tuple(errors), near)


def _last_epoch(sweep: TrainedSweep) -> ClaimResult:
    error = sweep.best.history[100]["valid/mse"]
    return ClaimResult(f"{error:.4f}", (error,), abs(error - 0.0051) <= 0.0002)


def _largest_of_each_column(sweep: TrainedSweep) -> ClaimResult:
    """Count the outputs whose largest weight is on the diagonal: a column of Keras's W is a row of our filters."""
    largest = sweep.best.filters.argmax(axis=1)
    count = int((largest == np.arange(len(largest))).sum())
    return ClaimResult(f"{count} of {len(largest)}", (float(count),), count == len(largest))


def _diagonal(sweep: TrainedSweep) -> ClaimResult:
    diagonal = sweep.best.filters.diagonal()
    low, high = float(diagonal.min()), float(diagonal.max())
    return ClaimResult(f"{low:.3f} to {high:.3f}", (low, high), 0.785 <= low <= high <= 0.862)


def _distance_from_identity(sweep: TrainedSweep) -> ClaimResult:
    weights = sweep.best.filters
    distance = float(np.abs(weights - np.eye(len(weights))).max())
    return ClaimResult(number(distance, ".1e"), (distance,), distance < 5e-4)


def _loss_at_identity(sweep: TrainedSweep) -> ClaimResult:
    loss = sweep.best.metric("valid/mse")
    return ClaimResult(number(loss, ".1e"), (loss,), loss <= 1e-12)


def _nothing_learnt(sweep: TrainedSweep) -> ClaimResult:
    r2, mse = sweep.best.metric("valid/r2"), sweep.best.metric("valid/mse")
    return ClaimResult(f"R² {r2:.4f}, MSE {number(mse, '.1e')}", (r2, mse), r2 < 0.01)


def _diagnosed(sweep: TrainedSweep) -> ClaimResult:
    found = FindingName.HARDLY_VARIES in sweep.best.findings
    return ClaimResult(str(FindingName.HARDLY_VARIES) if found else ", ".join(sorted(sweep.best.findings)), (), found)


def _reloaded(sweep: TrainedSweep) -> ClaimResult:
    r2 = sweep.best.valid_metrics()["r2"]
    return ClaimResult(f"{r2:.5f}", (r2,), r2 > 0.999)


CLAIMS = (
    Claim(
        "valid MSE in epochs 1 to 3",
        ".1564 .1510 .1459",
        "± .004, our own, of the closed form, .1591 .1536 .1484",
        (UNIFORM,),
        _first_epochs,
    ),
    Claim("valid MSE in epoch 100", ".0051", "± .0002", (UNIFORM,), _last_epoch),
    Claim("columns with their largest weight on the diagonal", "84 of 84", "all", (UNIFORM,), _largest_of_each_column),
    Claim("weights on the diagonal", "0.791 to 0.858", "0.785 to 0.862", (UNIFORM,), _diagonal),
    Claim("5 features: largest difference of W from the identity", "0", "below 5e-4", (FIVE,), _distance_from_identity),
    Claim("loss of weights initialised to the identity", "0", "at most 1e-12", (IDENTITY,), _loss_at_identity),
    Claim("R² on raw features", "a loss of 1e-6, nothing learnt", "below 0.01", (RAW,), _nothing_learnt),
    Claim("diagnosis on raw features", "asked: why?", "the features hardly vary", (RAW,), _diagnosed),
    Claim(
        "R² on raw values, standardised inside the saved and reloaded model",
        "learnt once standardised",
        "above 0.999",
        (STANDARDISED,),
        _reloaded,
    ),
)
