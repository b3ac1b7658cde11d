"""The loss of each test sample, for every kind of model that is compared: packaged, trained, or a baseline."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeps.config import TrialConfig
from sweeps.config.promotion import Loss
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.build import input_noise
from sweeps.models.feature_statistics import FeatureStatistics
from sweeps.models.metrics import linear_answers
from sweeps.models.networks.corruption import Noise, corrupt
from sweeps.models.networks.network import Network
from sweeps.models.networks.preprocessing import Preprocessing
from sweeps.models.networks.seeds import VALIDATION_NOISE, seeded_generator
from sweeps.models.pca import PrincipalComponents, fit_pca
from sweeps.registry.packaged_model import BATCH, PackagedModel
from sweeps.registry.packaging import CLASSES, CODE, RECONSTRUCTION
from sweeps.registry.significance import Losses
from sweeps.trial.references import standardized, statistics_of

Array = NDArray[Any]
# A linear classifier on raw inputs needs more samples than one on codes; fitting it on these takes seconds.
_N_CLASSIFIER_SAMPLES = 5000


@dataclass(frozen=True)
class Outputs:
    """A model's outputs for scaled samples: reconstruction (samples, features) and code (samples, units).

    A classifier also gives `labels` (samples,), and a stack fine-tuned on labels `probabilities` (samples, classes).
    """

    reconstruction: Array
    code: Array
    labels: Array | None = None
    probabilities: Array | None = None


Predictor = Callable[[Array], Outputs]


@dataclass(frozen=True)
class Samples:
    """Scaled test samples, (samples, features), and what the losses need besides.

    `corrupted` are the test samples with the trial's noise, the same for every model; without noise, the test samples
    themselves. A linear classifier is fitted on `train_inputs` and `train_labels`. `unit`, (features,), is that of the
    trial's errors: each feature's standard deviation, 0 if it is constant; None for the units of the data.
    """

    inputs: Array
    labels: Array | None
    corrupted: Array
    train_inputs: Array
    train_labels: Array | None
    unit: Array | None = None

    @classmethod
    def of(cls, trial: TrialConfig, arrays: DataArrays, loss: Loss) -> "Samples":
        """Prepare the test split of `arrays` for one loss of a trial."""
        test = ArrayDataModule(replace(arrays, valid=arrays.test), batch_size=BATCH, seed=trial.training.seed)
        inputs = test.valid_inputs()
        n_train = trial.training.probe_samples if loss == "probe_error" else _N_CLASSIFIER_SAMPLES
        train_inputs, *train_labels = test.train_sample(n_train)
        statistics = statistics_of(arrays) if trial.model.standardize == "feature" else None
        return cls(
            inputs.numpy(),
            arrays.test.labels,
            _corrupted(inputs, input_noise(trial.model), statistics).numpy(),
            train_inputs.numpy(),
            train_labels[0].numpy() if train_labels else None,
            None if statistics is None else statistics.deviation,
        )


def sample_losses(predict: Predictor, loss: Loss, samples: Samples) -> Losses:
    """Return the loss of each test sample, (samples,): its mean squared error, or 1 for a wrong label."""
    if loss in ("mse", "denoise_mse"):
        inputs = samples.inputs if loss == "mse" else samples.corrupted
        return _squared_errors(predict(inputs).reconstruction, samples)
    assert samples.labels is not None
    labels = predict(samples.inputs).labels
    if loss == "probe_error":
        assert samples.train_labels is not None
        train, test = predict(samples.train_inputs).code, predict(samples.inputs).code
        labels = linear_answers(train, samples.train_labels, test)
    assert labels is not None
    return np.asarray(labels != samples.labels, np.float64)


def package_predictor(model: PackagedModel, scale: float) -> Predictor:
    """Return the predictor of a packaged model, which takes raw samples; scaled samples are those times `scale`."""

    def predict(scaled: Array) -> Outputs:
        outputs = model.outputs(scaled / np.float32(scale))
        labels = outputs[CLASSES].argmax(axis=1) if CLASSES in outputs else None
        return Outputs(outputs[RECONSTRUCTION] * np.float32(scale), outputs[CODE], labels)

    return predict


def network_predictor(network: Network) -> Predictor:
    """Return the predictor of a trained network."""

    @torch.no_grad()
    def predict(scaled: Array) -> Outputs:
        parts = [network(torch.from_numpy(scaled[start : start + BATCH])) for start in range(0, len(scaled), BATCH)]
        code = torch.cat([part.code for part in parts])
        labels = probabilities = None
        class_logits = [part.class_logits for part in parts if part.class_logits is not None]
        if class_logits:
            probabilities = torch.cat(class_logits).softmax(dim=1).numpy()
            labels = probabilities.argmax(axis=1)
        reconstruction = torch.cat([part.reconstruction for part in parts]).numpy()
        return Outputs(reconstruction, code.numpy(), labels, probabilities)

    return predict


def pca_predictor(arrays: DataArrays, n_components: int, *, standardize: bool = False) -> Predictor | None:
    """Return PCA fitted on the training split; None if it is exact, since the data have no higher rank.

    With `standardize`, it is fitted on standardised features; its reconstructions are in the units of the data.
    """
    statistics = statistics_of(arrays) if standardize else None
    fitted_on = arrays if statistics is None else standardized(arrays, statistics)
    whole = fit_pca(fitted_on.train.inputs, fitted_on.scale)
    if n_components >= whole.rank:
        return None
    pca = PrincipalComponents(whole.mean, whole.components[:, :n_components], n_components)
    if statistics is None:
        return lambda scaled: Outputs(pca.reconstruct(scaled), pca.encode(scaled))

    def predict(scaled: Array) -> Outputs:
        values = statistics.standardize(scaled)
        return Outputs(statistics.restore(pca.reconstruct(values)), pca.encode(values))

    return predict


def mean_predictor(arrays: DataArrays) -> Predictor:
    """Return the predictor of the training mean."""
    mean = statistics_of(arrays).mean
    return lambda scaled: Outputs(np.broadcast_to(mean, scaled.shape), np.zeros((len(scaled), 1)))


def identity_predictor(scaled: Array) -> Outputs:
    """Return the inputs, as reconstruction and as code."""
    return Outputs(scaled, scaled)


def linear_classifier_predictor(samples: Samples, arrays: DataArrays) -> Predictor:
    """Return a linear classifier fitted on the inputs, missing ones filled with the training mean."""
    train_inputs, train_labels = samples.train_inputs, samples.train_labels
    assert train_labels is not None
    if np.isnan(train_inputs).any():
        train_inputs = np.where(np.isnan(train_inputs), statistics_of(arrays).mean, train_inputs)
    return lambda scaled: Outputs(scaled, scaled, linear_answers(train_inputs, train_labels, scaled))


def filling_predictor(predict: Predictor, arrays: DataArrays) -> Predictor:
    """Return a predictor that fills missing values with the training mean first."""
    mean = statistics_of(arrays).mean
    return lambda scaled: predict(np.where(np.isnan(scaled), mean, scaled))


def _squared_errors(reconstruction: Array, samples: Samples) -> Losses:
    """Return the squared error of each sample, (samples,), in the trial's units, over the mean count of present values.

    Missing values do not count. The mean over samples is the error over all values present, as in `test/mse`.
    """
    errors = np.subtract(reconstruction, samples.inputs, dtype=np.float64)
    if samples.unit is not None:
        errors = np.divide(errors, samples.unit, out=np.zeros_like(errors), where=samples.unit > 0)
    present = ~np.isnan(samples.inputs)
    n_present = np.count_nonzero(present) / len(present)  # exactly the number of features if nothing is missing
    losses: Losses = np.square(errors).sum(axis=1, where=present) / n_present
    return losses


def _corrupted(inputs: Tensor, noise: Noise, statistics: FeatureStatistics | None) -> Tensor:
    """Return `inputs` (samples, features) with a trial's noise, which corrupts standardised values if it has them."""
    if noise.level == 0:
        return inputs
    preprocessing = Preprocessing(inputs.shape[1], "none" if statistics is None else "feature")
    if statistics is not None:
        preprocessing.set_statistics(statistics)
    return preprocessing.corrupted(inputs, lambda x: corrupt(x, noise, seeded_generator(0, VALIDATION_NOISE)))
