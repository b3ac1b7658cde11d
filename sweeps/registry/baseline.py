"""The simple model that a challenger must beat, and the reason for choosing it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.objective import ObjectiveConfig
from sweeps.config.promotion import Loss
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import input_noise
from sweeps.registry.sample_losses import (
    Predictor,
    Samples,
    filling_predictor,
    identity_predictor,
    linear_classifier_predictor,
    mean_predictor,
    pca_predictor,
)

_LOSS_OF_METRIC: Mapping[str, Loss] = {
    "valid/denoise_mse": "denoise_mse",
    "valid/probe_error": "probe_error",
    "valid/classification_error": "classification_error",
}


@dataclass(frozen=True)
class Baseline:
    """A simple model, the reason for choosing it, and the loss that it and a challenger are compared by."""

    name: str
    reason: str
    loss: Loss
    predict: Predictor


def comparison_loss(sweep: SweepConfig, trial: TrialConfig) -> Loss:
    """Return the loss that a trial is compared by: `promotion.compare`, else the loss of the first objective.

    A stack fine-tuned on labels is compared by its classification error, since its training leaves its reconstructions
    to chance. An objective that is not an error is replaced by the reconstruction error.
    """
    if sweep.promotion.compare is not None:
        return sweep.promotion.compare
    objective: ObjectiveConfig = sweep.objectives[0]
    return "classification_error" if classifies(trial) else _LOSS_OF_METRIC.get(objective.metric, "mse")


def classifies(trial: TrialConfig) -> bool:
    """Return whether a trial's network is trained to classify, not to reconstruct."""
    return trial.model.classifies


def choose_baseline(
    trial: TrialConfig, arrays: DataArrays, samples: Samples, loss: Loss, code_size: int | None
) -> Baseline:
    """Choose the baseline of a trial's network; missing values of its input are filled with the training mean.

    `code_size` are the units of its code, None if it has none.
    """
    baseline = _choose(trial, arrays, samples, loss, code_size)
    return replace(baseline, predict=filling_predictor(baseline.predict, arrays)) if arrays.has_missing else baseline


def _choose(trial: TrialConfig, arrays: DataArrays, samples: Samples, loss: Loss, code_size: int | None) -> Baseline:
    """Choose the baseline of a trial's network.

    Where the code is a bottleneck, the baseline is PCA with as many components: its reconstruction, its reconstruction
    of corrupted samples, or a linear classifier on its components. Without a bottleneck PCA copies its input exactly:
    no network can beat it at copying, and to beat it at anything else is no achievement.
    """
    n_features = arrays.n_features
    if loss == "classification_error":
        reason = "hidden layers must beat a softmax on the inputs"
        return Baseline("a linear classifier on the inputs", reason, loss, linear_classifier_predictor(samples, arrays))
    pca = None
    if code_size is not None and code_size < n_features:
        pca = pca_predictor(arrays, code_size, standardize=trial.model.standardize == "feature")
    if pca is not None:
        return Baseline(f"PCA with {code_size} components", "it has the same code size", loss, pca)
    no_bottleneck = f"a code of {code_size or n_features} for {n_features} features is no bottleneck"
    if loss == "probe_error":
        reason = f"{no_bottleneck}, so the code must be easier to classify than the inputs"
        return Baseline("a linear classifier on the inputs", reason, loss, identity_predictor)
    if input_noise(trial.model).level > 0:
        reason = f"{no_bottleneck}, so the network must remove noise"
        return Baseline("the noisy input, uncorrected", reason, "denoise_mse", identity_predictor)
    reason = f"{no_bottleneck} and the inputs have no noise, so the task is to copy them"
    return Baseline("the training mean", reason, loss, mean_predictor(arrays))
