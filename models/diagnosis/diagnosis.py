"""Diagnose why an autoencoder did not learn: from the evidence of a training to findings with advice."""

import math
from collections.abc import Callable, Iterator
from itertools import chain

from sweeps.models.diagnosis.changes import (
    lower_penalties,
    lower_rate,
    more_epochs,
    more_training,
    rescale_inputs,
    reset_initialization,
    resize,
    revive,
    set_noise,
)
from sweeps.models.diagnosis.different_scales import different_scales
from sweeps.models.diagnosis.evidence import Evidence
from sweeps.models.diagnosis.findings import Change, Finding, FindingName, Severity
from sweeps.models.diagnosis.learning_curves import learning_rate_too_high, overfitting, still_improving
from sweeps.models.diagnosis.symptoms import (
    HARDLY_ANY,
    answers_the_mean,
    excess_over_pca,
    falls_short,
    features_hardly_vary,
    largest_penalty_share,
    last_mse,
    last_r2,
    layer_with_dead_units,
    penalty_share,
    relative_spread,
    squared_mean,
)
from sweeps.models.diagnosis.units import dead_units, follows_mean, saturated_units
from sweeps.models.metrics import mse_over_pca, r2

# Fully trained linear autoencoders came within 1 % of PCA on 60,000 samples and 3 % on 1,400: 5 % is not chance.
_WORSE_THAN_PCA = 1.05
# A twentieth of a tiny error is tiny: networks with many units leave less than that of the variance to either.
_WORSE_BY_VARIANCE = 0.02
# Healthy penalties took up to a fifth of the loss, and more where the error was tiny: if 95 % of the variance is
# explained, or samples are memorised, no penalty has kept the network from learning.
_DOMINANT_PENALTY, _UNHARMED_R2 = 0.3, 0.95
# In a network that falls short, this share explains why.
_HARMFUL_PENALTY = 0.2
# If the output is the mean, a tenth suffices: most of an untrained loss is the mean, which biases fit at no penalty.
_COLLAPSING_PENALTY = 0.1
# Without a bottleneck or noise, 95 % explained variance is copying: most bottlenecks let less through.
_COPIED_R2 = 0.95
_FIRST_ROW = "sigmoid_first_row"


def diagnose(evidence: Evidence) -> list[Finding]:
    """Return the findings of a training, most serious first; an empty list if there are none.

    A consequence is not reported in addition to its cause: outputs that are the mean because the features hardly vary
    are not reported as collapsed, and a network that explains next to nothing is not compared with PCA. If the features
    have very different scales, every other rule judges the largest of them only, so that is the only finding.
    """
    findings = list(different_scales(evidence)) or chain.from_iterable(rule(evidence) for rule in _RULES)
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))


def _hardly_varies(evidence: Evidence) -> Iterator[Finding]:
    if features_hardly_vary(evidence):
        ratio = math.sqrt(evidence.references.mean_mse / squared_mean(evidence))
        yield Finding.advising(
            FindingName.HARDLY_VARIES,
            {"r2": last_r2(evidence), "standard deviation over mean": ratio},
            rescale_inputs(evidence),
            "the variance is far too small relative to the mean to show in the loss",
        )


def _collapsed(evidence: Evidence) -> Iterator[Finding]:
    if not answers_the_mean(evidence) or features_hardly_vary(evidence):
        return
    numbers = {"r2": last_r2(evidence), "spread of the output over that of the input": relative_spread(evidence)}
    share = largest_penalty_share(evidence)
    if share > _COLLAPSING_PENALTY:
        yield Finding.advising(
            FindingName.COLLAPSED,
            {**numbers, "penalty share": share},
            lower_penalties(evidence.settings, 100),
            "a constant output is cheaper than any code",
        )
        return
    changes, reason = _away_from_the_mean(evidence)
    yield Finding.advising(FindingName.COLUMN_MEAN, numbers, changes, reason)


def _away_from_the_mean(evidence: Evidence) -> tuple[tuple[Change, ...], str]:
    """Return what lets the output follow the input, and why."""
    wrong = {layer.settings.setting for layer in evidence.layers if layer.settings.activation == _FIRST_ROW}
    if wrong:
        changes = tuple(Change(setting, _FIRST_ROW, "sigmoid") for setting in sorted(wrong))
        return changes, "the gradient must use every row of a batch"
    if dead := layer_with_dead_units(evidence):
        return revive(dead, evidence), "its dead units pass nothing on"
    return more_training(evidence), (
        "the output does not follow the input yet; if that changes nothing, check that the gradient uses every row of "
        "a batch"
    )


def _hardly_trained(evidence: Evidence) -> Iterator[Finding]:
    """Find outputs that are not the mean, but no closer to training and validation samples than the mean is."""
    spread, unseen = relative_spread(evidence), last_r2(evidence)
    seen = unseen if evidence.train_mse is None else r2(evidence.train_mse, evidence.references)
    if math.isnan(spread) or not (seen < HARDLY_ANY and unseen < HARDLY_ANY) or answers_the_mean(evidence):
        return
    if features_hardly_vary(evidence) or any(learning_rate_too_high(evidence)):
        return
    settings = evidence.settings
    resets = [change for layer in evidence.layers for change in reset_initialization(layer, settings)]
    if penalty_share(evidence) > HARDLY_ANY:
        changes, reason = lower_penalties(settings), "training lowers the penalties, not the reconstruction error"
    elif resets:
        changes, reason = tuple(resets[:1]), "the units start where their activation is flat"
    else:
        changes, reason = more_training(evidence), "the network is still no better than the mean"
    yield Finding.advising(
        FindingName.HARDLY_TRAINED,
        {"r2": unseen, "spread of the output over that of the input": spread},
        changes,
        reason,
    )


def _penalty(evidence: Evidence) -> Iterator[Finding]:
    """Find a penalty that dominates the loss; in a collapsed network, where it may be 0 by now, also at the start."""
    answers = answers_the_mean(evidence)
    share = largest_penalty_share(evidence) if answers else penalty_share(evidence)
    if not (share > _DOMINANT_PENALTY or (share > _HARMFUL_PENALTY and falls_short(evidence))):
        return
    # Not measured for a classifier.
    explained = {} if math.isnan(last_mse(evidence)) else {"r2": last_r2(evidence)}
    yield Finding.advising(
        FindingName.PENALTY,
        {"penalty share": share, **explained},
        lower_penalties(evidence.settings, 100 if answers else 10),
        "the optimizer lowers the penalty in place of the reconstruction error",
        harmless=last_r2(evidence) > _UNHARMED_R2 or any(overfitting(evidence)),
    )


def _worse_than_pca(evidence: Evidence) -> Iterator[Finding]:
    ratio = mse_over_pca(last_mse(evidence), evidence.settings.code_size, evidence.references)
    if ratio is None or not ratio > _WORSE_THAN_PCA or last_r2(evidence) < HARDLY_ANY:
        return
    if excess_over_pca(evidence) < _WORSE_BY_VARIANCE or any(overfitting(evidence)):
        return
    changes, reason = _towards_pca(evidence)
    numbers = {"mse over PCA": ratio, "r2": last_r2(evidence)}
    harmless = not falls_short(evidence)
    yield Finding.advising(FindingName.WORSE_THAN_PCA, numbers, changes, reason, harmless=harmless)


def _towards_pca(evidence: Evidence) -> tuple[tuple[Change, ...], str]:
    """Return what lowers an error that PCA shows to be too high, and why."""
    settings = evidence.settings
    improving = next(iter(still_improving(evidence)), None)
    if penalty_share(evidence) > HARDLY_ANY:
        return lower_penalties(settings), "the penalties raise the reconstruction error"
    if dead := layer_with_dead_units(evidence):
        return revive(
            dead, evidence
        ), f"with dead units the code is smaller than {settings.size_setting or 'its size'} says"
    if improving:
        return tuple(improving.changes), "the error was still falling"
    if settings.noise_level > 0:
        return set_noise(settings, settings.noise_level / 3), "the noise is more than the network can undo"
    if any(learning_rate_too_high(evidence)):
        return lower_rate(settings), "the loss was restless"
    return more_epochs(settings), "PCA of the same size shows that a lower error is possible"


def _copied(evidence: Evidence) -> Iterator[Finding]:
    settings, n_features = evidence.settings, evidence.references.n_features
    size = n_features if settings.code_size is None else settings.code_size
    free = size >= n_features and settings.noise_level == 0 and not settings.penalties
    if free and last_r2(evidence) > _COPIED_R2:
        dearer = "model.noise.level or model.hidden_l1" if settings.denoises else "model.hidden_l1"
        yield Finding.advising(
            FindingName.COPIED,
            {"code size": size, "features": n_features, "r2": last_r2(evidence)},
            resize(settings, max(1, n_features // 2)),
            f"copying must not be the best solution; a larger {dearer} also prevents it",
        )


_RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    learning_rate_too_high,
    _hardly_varies,
    _collapsed,
    _hardly_trained,
    _penalty,
    overfitting,
    dead_units,
    saturated_units,
    _worse_than_pca,
    _copied,
    follows_mean,
    still_improving,
)
