"""What the objectives and the gates of a sweep need from its data: checked once the data are read, before any trial."""

from collections.abc import Iterator, Sequence

import numpy as np

from sweeps.config import SweepConfig
from sweeps.config.issues import Issue
from sweeps.datamodules.arrays import DataArrays, Labels, chunks
from sweeps.datamodules.build import label_advice
from sweeps.models.metrics import References

# A mean over one sample ranks by the luck of that sample, and one sample of a class shows nothing of how it varies.
MIN_SAMPLES = 2
MIN_CLASSES = 2
MIN_OF_A_CLASS = 2
_ON_LABELS = ("probe_error", "classification_error")
_AGAINST_VARIANCE = ("valid/r2", "valid/mse_over_pca")
# The settings of `promotion` that are about losses or codes of test samples.
_ON_TEST_SAMPLES = ("compare", "confidence", "max_dead_units", "seeds")
_N_CLASSES_NAMED = 5
_SPLITS = {"train": "training", "valid": "validation", "test": "test"}


def requirement_issues(config: SweepConfig, arrays: DataArrays) -> list[str]:
    """Return a line for each objective and each gate in the sweep file that these data cannot give."""
    issues = [*_objective_issues(config, arrays), *_promotion_issues(config, arrays)]
    return list(dict.fromkeys(map(str, issues)))


def reference_issues(config: SweepConfig, references: References) -> list[str]:
    """Return a line for each objective that needs PCA to make errors, where it makes none."""
    if not needs_references(config):
        return []
    largest = max(trial.model.code_size or 0 for trial in config.corner_trials())
    if references.pca(largest) is not None:
        return []
    text = (
        f"valid/mse_over_pca needs data that PCA with as many components as the code has cannot reconstruct exactly, "
        f"and {largest} components do: lower the code size, or rank by valid/mse"
    )
    return [str(Issue("objective", text))]


def needs_references(config: SweepConfig) -> bool:
    """Return whether an objective is a ratio to the error of PCA."""
    return any(objective.metric == "valid/mse_over_pca" for objective in config.objectives)


def _objective_issues(config: SweepConfig, arrays: DataArrays) -> Iterator[Issue]:
    for metric in (objective.metric for objective in config.objectives):
        split, _, name = metric.rpartition("/")
        if split == "valid":
            yield from _too_few_samples(metric, arrays)
        if name in _ON_LABELS:
            measured = arrays.valid.labels, _SPLITS[arrays.validate_on], f"data.n_{arrays.validate_on}"
            for need, advice in _label_issues(name, config, arrays, measured):
                yield Issue("objective", f"{metric} {need}: rank by valid/mse, or {advice}")
        if metric in _AGAINST_VARIANCE and _is_constant(arrays):
            text = f"{metric} needs samples that differ, and all samples of {arrays.name} are equal: rank by valid/mse"
            yield Issue("objective", text)
        if metric == "valid/mse_over_pca":
            yield from _no_bottleneck(config, arrays)


def _promotion_issues(config: SweepConfig, arrays: DataArrays) -> Iterator[Issue]:
    """Gates that the sweep file asks for; without a `promotion` section, a sweep need not be promoted."""
    asked = [name for name in _ON_TEST_SAMPLES if name in config.promotion.model_fields_set]
    n_test = len(arrays.test)
    for name in asked if n_test < MIN_SAMPLES else ():
        needs = f"must have at least {MIN_SAMPLES} test samples to judge by"
        text = f"{needs}, and {arrays.name} has {n_test}: raise data.n_test"
        yield Issue(f"promotion.{name}", text, ("data",))
    loss = config.promotion.compare
    if loss in _ON_LABELS and n_test >= MIN_SAMPLES:
        for need, advice in _label_issues(loss, config, arrays, (arrays.test.labels, "test", "data.n_test")):
            yield Issue("promotion.compare", f"{loss} {need}: compare by mse, or {advice}")


def _too_few_samples(metric: str, arrays: DataArrays) -> Iterator[Issue]:
    n_train, n_valid = len(arrays.train), len(arrays.valid)
    if arrays.valid is arrays.train:
        if metric == "valid/dead_units" and n_valid < MIN_SAMPLES:
            text = f"{metric} needs at least {MIN_SAMPLES} samples, and {arrays.name} has {n_valid}: add samples"
            yield Issue("objective", text)
    elif min(n_train, n_valid) < MIN_SAMPLES:
        text = (
            f"{metric} needs at least {MIN_SAMPLES} samples to train on and {MIN_SAMPLES} to validate on, and the "
            f"splits of {arrays.name} have {n_train} and {n_valid}: add samples, raise data.n_valid, or set "
            "data.validate_on to train"
        )
        yield Issue("objective", text)


def _no_bottleneck(config: SweepConfig, arrays: DataArrays) -> Iterator[Issue]:
    largest = max(trial.model.code_size or 0 for trial in config.corner_trials())
    if largest >= arrays.n_features:
        text = (
            f"valid/mse_over_pca needs a code smaller than the {arrays.n_features} features of {arrays.name} in every "
            f"trial, and it reaches {largest}: rank by valid/mse"
        )
        yield Issue("objective", text)


def _label_issues(
    name: str, config: SweepConfig, arrays: DataArrays, measured: tuple[Labels | None, str, str]
) -> Iterator[tuple[str, str]]:
    """What a classification error needs and the data lack, and how to get it.

    `measured` are the labels of the split that the error is measured on, with the split's name and its size's setting.
    """
    labels, split, size = measured
    train = arrays.train.labels
    if train is None or labels is None:
        yield f"needs labels, and {arrays.name} was read without any", label_advice(config.data)
        return
    for found, where, setting in ((train, "training", "data.n_train"), (labels, split, size)):
        if len(classes := np.unique(found)) < MIN_CLASSES:
            need = f"needs samples of at least {MIN_CLASSES} classes, and the {where} samples of {arrays.name} have"
            yield f"{need} only class {classes[0]}", f"correct the labels, or raise {setting}"
            return
    n_fitted = len(train)
    if name == "probe_error":
        n_fitted = min(trial.training.probe_samples for trial in config.corner_trials())
    classes, fitted = np.union1d(train, labels), train[arrays.train.spread(n_fitted)]
    if rare := _rare(classes, fitted):
        advice = "add samples of these classes or leave them out"
        if not _rare(classes, train):
            advice = f"raise training.probe_samples: {len(fitted)} of {len(train)} training samples fit the probe"
        yield f"needs at least {MIN_OF_A_CLASS} training samples of each class, and has {', '.join(rare)}", advice


def _rare(classes: Labels, fitted: Labels) -> list[str]:
    """Return the first classes of which `fitted` has too few samples, with their counts."""
    counts = np.bincount(fitted, minlength=int(classes.max()) + 1)[classes]
    rare = [f"{count} of class {label}" for label, count in zip(classes, counts, strict=True) if count < MIN_OF_A_CLASS]
    more = len(rare) - _N_CLASSES_NAMED
    return [*rare[:_N_CLASSES_NAMED], *([f"too few of {more} more"] if more > 0 else [])]


def _is_constant(arrays: DataArrays) -> bool:
    """Whether all training and validation samples are equal."""
    first = arrays.train.inputs[0]
    parts: Sequence[np.ndarray] = (arrays.train.inputs, arrays.valid.inputs)
    return all(bool((rows == first).all()) for part in parts for rows in chunks(part))
