"""Load the samples of a plug-in data set, and check them as a user's own files are checked."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sweeps.datamodules.array_checks import as_inputs, as_labels, check_inputs, evident_image_shape
from sweeps.datamodules.arrays import DatasetError, Inputs, Labels, Split
from sweeps.datamodules.config import PluginDataConfig
from sweeps.datamodules.plugin_config import DataSettings, checked_settings, loader_of
from sweeps.datamodules.splits import Source
from sweeps.plugin_import import DATA, PluginError, import_plugin


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a plug-in data set: arrays, or what NumPy makes arrays of.

    `inputs` has the shape (samples, features), or (samples, height, width[, 3]) for images. `labels`, if there are any,
    is one class a sample, counted from 0. With `test_inputs`, the test split is drawn from them, else from `inputs`.
    Inputs are multiplied by `scale` when a batch is taken: 1/255 for bytes, which then need a quarter of the memory of
    floats. `image_shape` is taken from the shape of the inputs if it is left out. `name` is shown in messages and
    MLflow, by default that of the plug-in.
    """

    inputs: Any
    labels: Any = None
    test_inputs: Any = None
    test_labels: Any = None
    scale: float = 1.0
    image_shape: tuple[int, ...] | None = None
    name: str = ""


def read_settings(section: PluginDataConfig) -> DataSettings:
    """Return the settings that a section gives, checked by its plug-in. Raises DatasetError with one line per issue."""
    try:
        return checked_settings(section.name, section.model_dump(mode="json", exclude_unset=True))
    except PluginError as error:
        raise DatasetError(f"data.name: {error}") from error
    except ValidationError as error:
        lines = (f"data.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DatasetError(*(f"{line}, as {section.name} checks its settings: correct it" for line in lines)) from error


def load(settings: DataSettings) -> Source:
    """Load the samples of the plug-in that has these settings. Raises DatasetError, in one line."""
    name = settings.name
    try:
        loader = loader_of(name, import_plugin(name, DATA))
    except PluginError as error:
        raise DatasetError(f"data.name: {error}") from error
    return _as_source(name, _call(name, loader, settings))


def _call(name: str, loader: Any, settings: DataSettings) -> Samples:
    try:
        samples = loader(settings)
    except (Exception, SystemExit) as error:  # code of the user's own may raise anything
        lines = error.issues if isinstance(error, DatasetError) else [f"{type(error).__name__}: {error}"]
        raise DatasetError(*(f"{name} must load, and raised {line}{_where(error)}" for line in lines)) from error
    if not isinstance(samples, Samples):
        raise DatasetError(f"{name} must return sweeps.plugins.Samples, not {type(samples).__name__}: wrap its arrays")
    return samples


def _where(error: BaseException) -> str:
    """Return the file and line of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if len(frames) > 1 else ""


def _as_source(name: str, samples: Samples) -> Source:
    inputs, shape = _inputs(name, "inputs", samples.inputs)
    test = None
    if samples.test_inputs is not None:
        test, test_shape = _inputs(name, "test_inputs", samples.test_inputs)
        if test_shape != shape:
            raise DatasetError(f"the test_inputs of {name} must have samples of shape {shape}, not {test_shape}")
        if test.dtype != inputs.dtype:
            raise DatasetError(f"the test_inputs of {name} must be {inputs.dtype} as its inputs are, not {test.dtype}")
    labels, test_labels = _labels(name, samples, len(inputs), None if test is None else len(test))
    return Source(
        samples.name or name.rpartition(":")[2],
        Split(inputs, labels),
        test=None if test is None else Split(test, test_labels),
        scale=_scale(name, samples.scale),
        image_shape=_image_shape(name, samples.image_shape) or evident_image_shape(shape),
        n_classes=_n_classes(labels, test_labels),
    )


def _inputs(name: str, field: str, value: Any) -> tuple[Inputs, tuple[int, ...]]:
    """Return inputs as (samples, features), and the shape of a sample."""
    array = f"the {field} of {name}"
    raw = _array(array, value)
    check_inputs(raw, array, "")
    return as_inputs(raw, array), raw.shape[1:]


def _labels(name: str, samples: Samples, n_samples: int, n_test: int | None) -> tuple[Labels | None, Labels | None]:
    """Return the labels of the samples and of the test set: both have labels, or neither."""
    given = samples.labels is not None
    if n_test is None and samples.test_labels is not None:
        raise DatasetError(f"{name} must not have test_labels without test_inputs: add them, or leave out the labels")
    if n_test is not None and given != (samples.test_labels is not None):
        raise DatasetError(f"{name} must have both labels and test_labels, or neither: add the others")
    if not given:
        return None, None
    array = f"the labels of {name}"
    labels = as_labels(_array(array, samples.labels), array, n_samples)
    if n_test is None:
        return labels, None
    array = f"the test_labels of {name}"
    test = _array(array, samples.test_labels)
    if test.shape != (n_test,):
        raise DatasetError(f"{array} must be one number a test sample, of shape ({n_test},), not {test.shape}")
    # Its classes may be more than its samples.
    both = as_labels(np.concatenate([labels, test]), f"{array} after its labels", n_samples + n_test)
    return labels, both[n_samples:]


def _n_classes(*labels: Labels | None) -> int | None:
    given = [part for part in labels if part is not None]
    return max(int(part.max()) for part in given) + 1 if given else None


def _array(array: str, value: Any) -> NDArray[Any]:
    try:
        found = np.asarray(value)
    except Exception as error:  # of rows of different lengths, or of a type of the user's own
        reason = " ".join(str(error).split())
        raise DatasetError(f"{array} must be an array, and cannot be made one: {reason}") from error
    return found


def _scale(name: str, scale: Any) -> float:
    if isinstance(scale, bool) or not isinstance(scale, int | float | np.number) or not 0 < float(scale) < np.inf:
        raise DatasetError(f"the scale of {name} must be a positive number, not {scale!r}")
    return float(scale)


def _image_shape(name: str, shape: Any) -> tuple[int, ...] | None:
    if shape is None:
        return None
    try:
        found = tuple(int(size) for size in shape)
    except (TypeError, ValueError):
        found = ()
    is_known = len(found) == 2 or (len(found) == 3 and 3 in (found[0], found[-1]))
    if not is_known or min(found) < 1:
        raise DatasetError(
            f"the image_shape of {name} must be (height, width), (height, width, 3) or (3, height, width), not "
            f"{shape!r}"
        )
    return found
