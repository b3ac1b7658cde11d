"""Why a NumPy autoencoder of two rows stops at 0.006, the column mean: a question left unanswered.

Answer: its derivative of the sigmoid is taken from row 0 and applied to every row, which is right for one row only.
With the right gradient neither the single unit nor the missing biases prevent an exact fit.
"""

from models.diagnosis import Fault
from sweeps.experiments.claims import Claim, Finding, Run, counted
from sweeps.experiments.finished import FinishedRun

RIGHT = Run("numpy-2x2")
FAULTY = Run("numpy-2x2-faulty")


def _exact(run: FinishedRun) -> Finding:
    return counted(run.values(lambda trial: trial.metric("valid/mse")), lambda mse: mse <= 1e-6, 9, ".1e")


def _stuck(run: FinishedRun) -> Finding:
    return counted(run.values(lambda trial: min(trial.curve("valid/mse"))), lambda mse: mse >= 3.5e-3, 10, ".2e")


def _diagnosed(run: FinishedRun) -> Finding:
    found = run.values(lambda trial: float(Fault.COLUMN_MEAN in trial.faults))
    count = int(sum(found))
    return Finding(f"{count} of {len(found)}", found, count == len(found))


CLAIMS = (
    Claim("MSE with the right gradient, 10 seeds", "1e-7 for one row", "at most 1e-6 in 9 of 10", (RIGHT,), _exact),
    Claim("MSE with the derivative of row 0, 10 seeds", "0.006", "at least 3.5e-3 in 10 of 10", (FAULTY,), _stuck),
    Claim("diagnosed as “output is the column mean”, 10 seeds", "asked: why?", "10 of 10", (FAULTY,), _diagnosed),
)
