"""The loss of each test sample, for every kind of model that is compared: packaged, trained, or as simple as PCA."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweeps.config import TrialConfig
from sweeps.config.sections import Loss
from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.batches import ArrayDataModule
from sweeps.models.build import input_noise
from sweeps.models.metrics import linear_answers
from sweeps.models.networks.corruption import corrupt
from sweeps.models.networks.network import Network
from sweeps.models.networks.seeds import VALIDATION_NOISE, seeded_generator
from sweeps.models.pca import PrincipalComponents, fit_pca
from sweeps.registry.packaging import CLASSES, CODE, RECONSTRUCTION
from sweeps.registry.scoring import BATCH, PackagedModel
from sweeps.registry.significance import Losses

Array = NDArray[Any]
# A linear classifier on raw inputs needs more samples than one on codes, and takes seconds for these.
_N_CLASSIFIER_SAMPLES = 5000


@dataclass(frozen=True)
class Outputs:
    """What a model makes of scaled samples: reconstruction (samples, features), code (samples, units), labels.

    A stack fine-tuned on labels gives their `probabilities` (samples, classes).
    """

    reconstruction: Array
    code: Array
    labels: Array | None = None
    probabilities: Array | None = None


Predictor = Callable[[Array], Outputs]


@dataclass(frozen=True)
class Samples:
    """Scaled test samples (samples, features), and what the losses are taken against.

    `corrupted` are the same samples with the trial's own noise, by the same draws for every model; the test samples
    themselves where it has none. `train_inputs` and `train_labels` are what a linear classifier is fitted on.
    """

    inputs: Array
    labels: Array | None
    corrupted: Array
    train_inputs: Array
    train_labels: Array | None

    @classmethod
    def of(cls, trial: TrialConfig, arrays: DataArrays, loss: Loss) -> "Samples":
        """The test split of `arrays` as a trial's metrics see it, ready for one loss."""
        test = ArrayDataModule(replace(arrays, valid=arrays.test), batch_size=BATCH, seed=trial.training.seed)
        inputs = test.valid_inputs()
        n_train = trial.training.probe_samples if loss == "probe_error" else _N_CLASSIFIER_SAMPLES
        train_inputs, *train_labels = test.train_sample(n_train)
        noise = input_noise(trial.model)
        corrupted = corrupt(inputs, noise, seeded_generator(0, VALIDATION_NOISE)) if noise.level > 0 else inputs
        return cls(
            inputs.numpy(),
            arrays.test.labels,
            corrupted.numpy(),
            train_inputs.numpy(),
            train_labels[0].numpy() if train_labels else None,
        )


def sample_losses(predict: Predictor, loss: Loss, samples: Samples) -> Losses:
    """The loss of each test sample, (samples,): a squared error averaged over features, or 1 for a wrong label."""
    if loss in ("mse", "denoise_mse"):
        seen = samples.inputs if loss == "mse" else samples.corrupted
        return _squared_errors(predict(seen).reconstruction, samples.inputs)
    assert samples.labels is not None
    labels = predict(samples.inputs).labels
    if loss == "probe_error":
        assert samples.train_labels is not None
        train, test = predict(samples.train_inputs).code, predict(samples.inputs).code
        labels = linear_answers(train, samples.train_labels, test)
    assert labels is not None
    return np.asarray(labels != samples.labels, np.float64)


def of_package(model: PackagedModel, scale: float) -> Predictor:
    """A packaged model, which takes raw samples, for samples that were multiplied by `scale`."""

    def predict(scaled: Array) -> Outputs:
        outputs = model.outputs(scaled / np.float32(scale))
        labels = outputs[CLASSES].argmax(axis=1) if CLASSES in outputs else None
        return Outputs(outputs[RECONSTRUCTION] * np.float32(scale), outputs[CODE], labels)

    return predict


def of_network(network: Network) -> Predictor:
    """A network as it was trained."""

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


def of_pca(arrays: DataArrays, n_components: int) -> Predictor | None:
    """PCA fitted on the training split; None where it is exact, as the data have no more directions."""
    whole = fit_pca(arrays.train.inputs, arrays.scale)
    if n_components >= whole.rank:
        return None
    pca = PrincipalComponents(whole.mean, whole.components[:, :n_components], n_components)
    return lambda scaled: Outputs(pca.reconstruct(scaled), pca.encode(scaled))


def of_mean(arrays: DataArrays) -> Predictor:
    """The model that always answers the training mean."""
    mean = arrays.train.inputs.mean(axis=0, dtype=np.float64) * arrays.scale
    return lambda scaled: Outputs(np.broadcast_to(mean, scaled.shape), np.zeros((len(scaled), 1)))


def of_identity(scaled: Array) -> Outputs:
    """The model that answers what it was given, and whose code is that."""
    return Outputs(scaled, scaled)


def of_linear_classifier(samples: Samples) -> Predictor:
    """A linear classifier on the inputs themselves."""
    train_labels = samples.train_labels
    assert train_labels is not None
    return lambda scaled: Outputs(scaled, scaled, linear_answers(samples.train_inputs, train_labels, scaled))


def _squared_errors(reconstruction: Array, inputs: Array) -> Losses:
    errors: Losses = np.square(np.subtract(reconstruction, inputs, dtype=np.float64)).mean(axis=1)
    return errors
