"""Why nine units on blurred dots learn no blob-shaped filters: a question about theanets 0.7.

Answer: nine units must represent all dots, at best by the nine directions of PCA, so each filter follows the mean of
the data set. Local features need more units and sparse codes, with penalties far below 0.5.
"""

from itertools import pairwise

import numpy as np
from scipy.stats import spearmanr

from sweeps.experiments.claims import Claim, ClaimResult, RecipeVariant, counted, number, spread
from sweeps.experiments.trained_sweep import TrainedSweep, TrainedTrial
from sweeps.models.diagnosis.findings import FindingName

STRIPE = RecipeVariant("blobs-stripe-9")
FULL = RecipeVariant("blobs-full-9")
SPARSE = RecipeVariant("blobs-sparse")
ONE_HALF = RecipeVariant(
    "blobs-sparse",
    "one-half",
    ("search={}", "model.hidden_size=29", "model.weight_l1=0.5", "model.hidden_l1=0.5"),
)
RISING = RecipeVariant(
    "blobs-sparse",
    "rising-penalty",
    (
        "search={model.hidden_l1: {grid: [1e-6, 1e-5, 1e-4, 1e-3]}}",
        "algorithm.name=grid",
        "model.hidden_size=29",
        "model.weight_l1=1e-6",
    ),
)
# A pixel belongs to the stripe if the mean image is brighter there than a tenth of its maximum.
STRIPE_BRIGHTNESS = 0.1
# A network with a lower R² outputs the mean image, and its code of zeros counts as sparse.
MIN_R2 = 0.1


def _pca_9(sweep: TrainedSweep, published: str) -> ClaimResult:
    trial = sweep.trials[0]
    pca = trial.metric("valid/mse") / trial.metric("valid/mse_over_pca")
    return ClaimResult(number(pca, ".2e"), (pca,), number(pca, ".2e") == published)


def _error(sweep: TrainedSweep, limit: float) -> ClaimResult:
    """Require an error between PCA with nine components, the optimum of a linear decoder, and `limit`."""
    errors = sweep.values(lambda trial: trial.metric("valid/mse"))
    over_pca = sweep.values(lambda trial: trial.metric("valid/mse_over_pca"))
    within = all(error <= limit and ratio >= 1 for error, ratio in zip(errors, over_pca, strict=True))
    return ClaimResult(f"{spread(errors)}, {spread(over_pca, '.2f')} × PCA-9", errors, within)


def _energy_on_the_stripe(sweep: TrainedSweep) -> ClaimResult:
    stripe = sweep.column_mean > STRIPE_BRIGHTNESS * sweep.column_mean.max()
    share = float(stripe.mean())

    def energy(trial: TrainedTrial) -> float:
        by_pixel = np.square(trial.filters).sum(axis=0)
        return float(by_pixel[stripe].sum() / by_pixel.sum())

    result = counted(sweep.values(energy), lambda value: value > share, at_least=len(sweep.result.points), form=".0%")
    return ClaimResult(f"{result.ours} of the energy, on {share:.0%} of the area", result.values, result.reached)


def _collapsed(sweep: TrainedSweep) -> ClaimResult:
    trial = sweep.best
    names = [name for name in trial.findings if name == FindingName.COLLAPSED]
    r2 = trial.metric("valid/r2")
    return ClaimResult(f"{names[0] if names else 'not diagnosed'}, R² {number(r2, '.1g')}", (r2,), bool(names))


def _sparsity(sweep: TrainedSweep) -> ClaimResult:
    """Require a code that becomes sparser as hidden_l1 rises, all else equal."""
    penalties = sweep.values(lambda trial: float(trial.record.point["model.hidden_l1"]))
    sparsity = sweep.values(lambda trial: trial.metric("valid/code_sparsity"))
    rising = [value for _, value in sorted(zip(penalties, sparsity, strict=True))]
    words = " ".join(f"{value:.2f}" for value in rising)
    return ClaimResult(words, tuple(rising), all(before < after for before, after in pairwise(rising)))


def _sparsity_over_the_sweep(sweep: TrainedSweep) -> ClaimResult:
    """Require a positive rank correlation of hidden_l1 and sparseness over the trials that learned: R² above 0.1."""
    learned = [trial for trial in sweep.trials if trial.metric("valid/r2") > MIN_R2]
    penalties = [float(trial.record.point["model.hidden_l1"]) for trial in learned]
    test = spearmanr(penalties, [trial.metric("valid/code_sparsity") for trial in learned])
    correlation, p_value = float(test.statistic), float(test.pvalue)
    words = f"{correlation:.2f}, p = {number(p_value, '.0e')}, {len(learned)} of {len(sweep.result.points)} trials"
    return ClaimResult(words, (correlation, p_value), correlation > 0 and p_value < 0.01)


CLAIMS = (
    Claim("PCA with 9 components", "7.15e-6", "rounds to it", (STRIPE,), lambda sweep: _pca_9(sweep, "7.15e-6")),
    Claim(
        "MSE of 9 units",
        "PCA-9: 7.15e-6",
        "from PCA-9 to 2 × 7.15e-6, all seeds",
        (STRIPE,),
        lambda sweep: _error(sweep, 2 * 7.15e-6),
    ),
    Claim(
        "filters follow the mean image: energy on the stripe",
        "no blob-shaped filter",
        "above the stripe's share of the area, all seeds",
        (STRIPE,),
        _energy_on_the_stripe,
    ),
    Claim("PCA with 9 components", "9.06e-5", "rounds to it", (FULL,), lambda sweep: _pca_9(sweep, "9.06e-5")),
    Claim(
        "MSE of 9 units",
        "PCA-9: 9.06e-5",
        "from PCA-9 to 1.3 × 9.06e-5",
        (FULL,),
        lambda sweep: _error(sweep, 1.3 * 9.06e-5),
    ),
    Claim(
        "hidden_l1 = weight_l1 = 0.5, mean reduction",
        "advised for blob-shaped filters",
        "diagnosed as collapsed to the mean",
        (ONE_HALF,),
        _collapsed,
    ),
    Claim(
        "rank correlation of hidden_l1 and sparseness, where R² is above 0.1",
        "grows with the penalty",
        "positive, p below 0.01",
        (SPARSE,),
        _sparsity_over_the_sweep,
    ),
    Claim(
        "sparseness of the code at hidden_l1 1e-6, 1e-5, 1e-4, 1e-3",
        "grows with the penalty",
        "larger at each step",
        (RISING,),
        _sparsity,
    ),
)
