"""Why a NumPy autoencoder on two rows stops at an error of 0.006, the column mean: a question that was never answered.

Answer: it computes the sigmoid's derivative for row 0 and applies it to every row, which is correct for one row only.
With the correct gradient, neither the single unit nor the missing biases prevent an exact fit.
"""

from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant, counted
from sweeps.experiments.trained_sweep import TrainedSweep
from sweeps.models.diagnosis.findings import FindingName

RIGHT = RecipeVariant("numpy-2x2")
FAULTY = RecipeVariant("numpy-2x2-faulty")


def _exact(sweep: TrainedSweep) -> ClaimResult:
    return counted(sweep.values(lambda trial: trial.metric("valid/mse")), lambda mse: mse <= 1e-6, 9, ".1e")


def _stuck(sweep: TrainedSweep) -> ClaimResult:
    return counted(sweep.values(lambda trial: min(trial.curve("valid/mse"))), lambda mse: mse >= 3.5e-3, 10, ".2e")


def _diagnosed(sweep: TrainedSweep) -> ClaimResult:
    found = sweep.values(lambda trial: float(FindingName.COLUMN_MEAN in trial.findings))
    count = sum(value == 1 for value in found)  # NaN for a failed seed, which has no diagnosis
    return ClaimResult(f"{count} of {len(found)}", found, count == len(found))


CLAIMS = (
    Claim("MSE with the right gradient", "1e-7 for one row", "at most 1e-6 in 9 of 10", (RIGHT,), _exact),
    Claim("MSE with the derivative of row 0", "0.006", "at least 3.5e-3 in 10 of 10", (FAULTY,), _stuck),
    Claim("diagnosed as “output is the column mean”", "asked: why?", "10 of 10", (FAULTY,), _diagnosed),
)
