"""Why a NumPy autoencoder of two rows stops at 0.006, the column mean: a question left unanswered.

Answer: its derivative of the sigmoid is taken from row 0 and applied to every row, which is right for one row only.
With the right gradient neither the single unit nor the missing biases prevent an exact fit.
"""

from sweeps.experiments.claims import Claim, Outcome, Setup, counted
from sweeps.experiments.trained_sweep import FinishedSweep
from sweeps.models.diagnosis.findings import FindingName

RIGHT = Setup("numpy-2x2")
FAULTY = Setup("numpy-2x2-faulty")


def _exact(sweep: FinishedSweep) -> Outcome:
    return counted(sweep.values(lambda trial: trial.metric("valid/mse")), lambda mse: mse <= 1e-6, 9, ".1e")


def _stuck(sweep: FinishedSweep) -> Outcome:
    return counted(sweep.values(lambda trial: min(trial.curve("valid/mse"))), lambda mse: mse >= 3.5e-3, 10, ".2e")


def _diagnosed(sweep: FinishedSweep) -> Outcome:
    found = sweep.values(lambda trial: float(FindingName.COLUMN_MEAN in trial.findings))
    count = sum(value == 1 for value in found)  # a seed that failed is NaN, and has no diagnosis
    return Outcome(f"{count} of {len(found)}", found, count == len(found))


CLAIMS = (
    Claim("MSE with the right gradient", "1e-7 for one row", "at most 1e-6 in 9 of 10", (RIGHT,), _exact),
    Claim("MSE with the derivative of row 0", "0.006", "at least 3.5e-3 in 10 of 10", (FAULTY,), _stuck),
    Claim("diagnosed as “output is the column mean”", "asked: why?", "10 of 10", (FAULTY,), _diagnosed),
)
