"""The simple model that a challenger has to beat, and why it is that one."""

from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.config import SweepConfig, TrialConfig
from sweeps.config.sections import Loss, ObjectiveConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.build import input_noise
from sweeps.registry.sample_losses import (
    Predictor,
    Samples,
    of_identity,
    of_linear_classifier,
    of_mean,
    of_pca,
)

_OF_METRIC: Mapping[str, Loss] = {
    "valid/denoise_mse": "denoise_mse",
    "valid/probe_error": "probe_error",
    "valid/classification_error": "classification_error",
}


@dataclass(frozen=True)
class Reference:
    """A simple model, by its name; `loss` is what both are measured by, `reason` says why it is this one."""

    name: str
    reason: str
    loss: Loss
    predict: Predictor


def loss_of(sweep: SweepConfig, trial: TrialConfig) -> Loss:
    """The loss by which a trial is compared: the one that the sweep file names, else that of its first objective.

    A stack that is fine-tuned on labels is compared by its wrong labels, since its training leaves its reconstructions
    to chance; what ranks by something else than an error is compared by its reconstructions.
    """
    if sweep.promotion.compare is not None:
        return sweep.promotion.compare
    objective: ObjectiveConfig = sweep.objectives[0]
    return "classification_error" if classifies(trial) else _OF_METRIC.get(objective.metric, "mse")


def classifies(trial: TrialConfig) -> bool:
    """Whether a trial's network was trained to tell labels, not to reconstruct."""
    return trial.model.classifies


def reference_for(trial: TrialConfig, arrays: DataArrays, samples: Samples, loss: Loss) -> Reference:
    """What a trial's network must beat.

    PCA with as many components, wherever the code narrows the data: by what PCA reconstructs, by what it makes of a
    corrupted sample, or by a linear classifier on its components. Where the code narrows nothing, PCA of its size is
    the identity, which no network can beat at copying and which copying beats nothing else.
    """
    n_features, code_size = arrays.n_features, trial.model.code_size
    if loss == "classification_error":
        reason = "layers below a softmax are worth having if they beat one without"
        return Reference("a linear classifier on the inputs", reason, loss, of_linear_classifier(samples))
    pca = None if code_size is None or code_size >= n_features else of_pca(arrays, code_size)
    if pca is not None:
        return Reference(f"PCA with {code_size} components", "it has as many numbers for a code", loss, pca)
    narrows_nothing = f"a code of {code_size or n_features} for {n_features} features narrows nothing"
    if loss == "probe_error":
        reason = f"{narrows_nothing}, so that it must be easier to read than the inputs"
        return Reference("a linear classifier on the inputs", reason, loss, of_identity)
    if input_noise(trial.model).level > 0:
        reason = f"{narrows_nothing}: what a copy cannot do is to mend"
        return Reference("leaving the noise in", reason, "denoise_mse", of_identity)
    reason = f"{narrows_nothing} and no noise was to be mended: copying was asked for, and this is what it must beat"
    return Reference("the training mean", reason, loss, of_mean(arrays))
