"""What the learning curves of a training show: a learning rate too high, over-fitting, too few epochs."""

import math
from collections.abc import Iterator

import numpy as np

from sweeps.models.diagnosis.changes import lower_rate, more_epochs
from sweeps.models.diagnosis.evidence import Evidence
from sweeps.models.diagnosis.findings import Change, Finding, FindingName
from sweeps.models.diagnosis.symptoms import answers_the_mean, last_mse

# Corruption may raise the loss of the first epoch slightly above that of the untrained network, but never to twice it.
_FIRST_EPOCH = 2.0
# A tenth of the rate does not suffice if values are not finite, or the first epoch is a hundred times worse.
_FAR_TOO_HIGH, _FAR_FACTOR = 100.0, 100.0
# A later rise by a tenth of the first epoch's loss undoes the gains of whole epochs.
_SETBACK = 0.1
# A validation error 5 % above its best, while the training loss kept falling, exceeds the noise between epochs.
_RISE = 1.05
# An error 50 % higher on unseen samples, if the gap is at least 2 % of the variance: below that, both are small.
_GAP, _GAP_OF_VARIANCE = 1.5, 0.02
# And an error twice as high on typical samples, the median. A few outliers raise the mean alone: on unseen rows of
# scikit-learn's breast cancer data, that of PCA is 2.9 times as high. Medians of healthy networks were up to 1.5 times
# as high there, and 3.7 to 6.8 times where networks had memorised a few samples.
_TYPICAL_GAP = 2.0
# A rise by less than a hundredth of the variance is that of a small error.
_RISE_OF_VARIANCE = 0.01
# Two standard errors of a classification error: more than chance is likely to give.
_STANDARD_ERRORS = 2
# Per tenth of the epochs: 5 % of the error and 0.1 % of the variance, or 1 % of the variance, are worth a note. All
# healthy networks gained less than 1.7 % of the variance, and those that stopped far too early more than 2 %
# (docs/diagnosis-evidence.md). Of a classifier, a share of the samples takes the place of the variance.
_GAIN_A_TENTH, _OF_VARIANCE_A_TENTH, _NOTABLE_OF_VARIANCE, _TOO_EARLY = 0.05, 0.001, 0.01, 0.02
# Of a hundred samples or fewer, these lowered the error on unseen ones by 5 to 25 and by 15 to 30 %.
_DECAY, _STRONG_DECAY = 0.1, 1.0
_CLASSIFICATION = "valid/classification_error"


def learning_rate_too_high(evidence: Evidence) -> Iterator[Finding]:
    """Find values that are not finite, a first epoch worse than no training, or a loss that rises by far."""
    losses, settings = evidence.values("train/loss"), evidence.settings
    reason = "its steps lead away from the minimum"
    broken = [epoch for epoch, metrics in evidence.history if not all(map(math.isfinite, metrics.values()))]
    if broken:
        numbers = {"first epoch that is not finite": float(broken[0])}
        yield Finding.advising(FindingName.LEARNING_RATE, numbers, lower_rate(settings, _FAR_FACTOR), reason)
    elif losses:
        setback = float(np.max(np.array(losses) - np.minimum.accumulate(losses))) / max(abs(losses[0]), 1e-300)
        first = losses[0] / evidence.first_loss.total if evidence.first_loss and evidence.first_loss.total > 0 else 0.0
        if first > _FIRST_EPOCH or setback > _SETBACK:
            numbers = {"loss of the first epoch over the untrained": first, "largest rise over the first loss": setback}
            changes = lower_rate(settings, _FAR_FACTOR if first > _FAR_TOO_HIGH else 10)
            yield Finding.advising(FindingName.LEARNING_RATE, numbers, changes, reason)


def overfitting(evidence: Evidence) -> Iterator[Finding]:
    """Find a validation error that rises while the loss falls, or that ends far above the training error."""
    if answers_the_mean(evidence):  # a constant output has memorised no sample
        return
    errors, losses = evidence.with_losses(_watched(evidence))
    rise = errors[-1] / min(errors) if errors and min(errors) > 0 else 1.0
    fell = bool(losses) and losses[-1] < losses[int(np.argmin(errors))]
    numbers = {"error over its best": rise}
    least = _by_chance(evidence, min(errors, default=0.0)) or _RISE_OF_VARIANCE * evidence.references.mean_mse
    rises = rise > _RISE and fell and errors[-1] - min(errors) > least
    large = rises
    if evidence.train_mse is not None and evidence.train_mse > 0:
        unseen = last_mse(evidence)
        numbers["valid mse over train mse"] = unseen / evidence.train_mse
        of_variance = (unseen - evidence.train_mse) / max(evidence.references.mean_mse, 1e-300)
        # If the training error is as high (for example, if it is the one validated on), the curve is merely noisy.
        large &= unseen > _RISE * evidence.train_mse
        is_typical = evidence.typical_gap is None or evidence.typical_gap > _TYPICAL_GAP
        large |= unseen > _GAP * evidence.train_mse and of_variance > _GAP_OF_VARIANCE and is_typical
    if large:
        changes = _before_it_memorises(evidence, rises=rises)
        yield Finding.advising(
            FindingName.OVERFITTING,
            numbers,
            changes,
            "the network memorises; more samples (data.n_train) are what cures it",
        )


def _before_it_memorises(evidence: Evidence, *, rises: bool) -> tuple[Change, ...]:
    """Return what lowered the validation error of networks with few samples: larger weight decay, fewer epochs.

    Noise and smaller codes raised it.
    """
    settings = evidence.settings
    changes: list[Change] = []
    if rises:
        best = min(evidence.curve(_watched(evidence)), key=lambda point: point[1])[0]
        before = evidence.history[0][0] - 1  # the epochs of pretraining
        changes.append(Change("training.epochs", settings.epochs, max(1, best - before)))
    if settings.penalty_reduction == "mean" and settings.weight_l2 < _STRONG_DECAY:
        decay = _DECAY if settings.weight_l2 < _DECAY else _STRONG_DECAY
        changes.append(Change("model.weight_l2", settings.weight_l2, decay))
    return tuple(changes)


def still_improving(evidence: Evidence) -> Iterator[Finding]:
    """Find an error that still falls over the last tenth of the epochs, or since the validation before the last."""
    curve = evidence.curve(_watched(evidence))
    errors = [error for _, error in curve]
    if len(errors) < 3 or errors[-1] != min(errors):
        return
    epoch, before = curve[-1 - max(1, len(curve) // 10)]
    n_epochs = curve[-1][0] - evidence.history[0][0] + 1  # without the epochs of pretraining
    span = curve[-1][0] - epoch
    tenths = max(1.0, 10 * span / n_epochs)
    gain = before - errors[-1]
    scale = 1.0 if _watched(evidence) == _CLASSIFICATION else evidence.references.mean_mse
    least = _by_chance(evidence, before) or tenths * _OF_VARIANCE_A_TENTH * scale
    notable = gain > tenths * _GAIN_A_TENTH * before or gain > tenths * _NOTABLE_OF_VARIANCE * scale
    if notable and gain > least:
        too_early = gain > tenths * _TOO_EARLY * scale
        yield Finding.advising(
            FindingName.STILL_IMPROVING,
            {"share of the error gained at the end": gain / before, "in epochs": span, "of": n_epochs},
            more_epochs(evidence.settings, 4 if too_early else 2),
            "the error was still falling",
            harmless=not too_early,
        )


def _watched(evidence: Evidence) -> str:
    """Return the metric that training lowers: a denoiser's or classifier's `valid/mse` may rise while it learns."""
    if evidence.values(_CLASSIFICATION):
        return _CLASSIFICATION
    noisy = evidence.settings.noise_level > 0 and bool(evidence.values("valid/denoise_mse"))
    return "valid/denoise_mse" if noisy else "valid/mse"


def _by_chance(evidence: Evidence, error: float) -> float:
    """Return how far a classification error may move by chance; 0 for other errors."""
    if _watched(evidence) != _CLASSIFICATION:
        return 0.0
    if evidence.n_valid is None:
        return math.inf
    return _STANDARD_ERRORS * math.sqrt(error * (1 - error) / evidence.n_valid)
