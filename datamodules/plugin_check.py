"""The contract test of plug-in data sets, which their authors run."""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from sweeps.datamodules.arrays import DataArrays, DatasetError
from sweeps.datamodules.build import load_arrays
from sweeps.datamodules.config import PluginDataConfig
from sweeps.datamodules.plugin_config import DataSettings, settings_class
from sweeps.datamodules.plugin_data import read_settings
from sweeps.plugin_checks import Check
from sweeps.plugin_import import PluginError


def check_data(name: str, /, **settings: Any) -> tuple[Check, ...]:
    """Check whether a plug-in data set keeps its contract: one `Check` for each rule, in order.

    `name` is its import path or entry point, `settings` are those of a `data` section, as plain values. After a rule
    that fails, rules that depend on it are skipped.
    """
    sections: list[PluginDataConfig] = []
    loaded: list[DataArrays] = []
    rules: dict[str, Callable[[], str]] = {
        "it imports": lambda: _imports(name),
        "its settings are described": lambda: _described(settings_class(name)),
        "its settings are valid": lambda: _valid(name, settings, sections),
        "it loads": lambda: _loads(sections[0], loaded),
        "it loads the same samples again": lambda: _is_repeatable(sections[0], loaded),
    }
    return (*_checked(rules), _labels(loaded))


def _checked(rules: dict[str, Callable[[], str]]) -> Iterator[Check]:
    """Yield the outcome of each rule, which returns what it saw, or raises."""
    failed = ""
    for name, rule in rules.items():
        if failed:
            yield Check(name, "skipped", f"the rule before it failed: {failed}")
            continue
        try:
            yield Check(name, "passed", rule())
        except (PluginError, DatasetError) as error:
            yield Check(name, "failed", "; ".join(str(error).splitlines()))
            failed = name


def _imports(name: str) -> str:
    return f"its settings are {settings_class(name).__name__}"


def _described(settings: type[DataSettings]) -> str:
    own = {key: field for key, field in settings.model_fields.items() if key not in DataSettings.model_fields}
    bare = [key for key, field in own.items() if not field.description]
    if bare:
        raise PluginError(f"each setting must have a description; {', '.join(bare)} have none: add Field(description=)")
    return f"{len(own)} of its own" if own else "none of its own"


def _valid(name: str, settings: dict[str, Any], sections: list[PluginDataConfig]) -> str:
    """Return the settings that were given; their section is appended to `sections`."""
    if "name" in settings:
        raise PluginError(f"name must not be one of the settings: {name} is checked")
    try:
        section = PluginDataConfig.model_validate({"name": name} | settings)
    except ValidationError as error:
        lines = [f"data.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise DatasetError(*lines) from error
    read_settings(section)
    sections.append(section)
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "the defaults"


def _loads(section: PluginDataConfig, loaded: list[DataArrays]) -> str:
    arrays = load_arrays(section)
    loaded.append(arrays)
    sizes = f"{len(arrays.train)} training, {len(arrays.valid)} validation and {len(arrays.test)} test samples"
    image = "" if arrays.image_shape is None else f", images of shape {arrays.image_shape}"
    return f"{sizes} of {arrays.n_features} features ({arrays.train.inputs.dtype}){image}"


def _is_repeatable(section: PluginDataConfig, loaded: list[DataArrays]) -> str:
    """A sweep is resumed, evaluated and promoted on the data that it was trained on."""
    first, second = loaded[0].checksum, load_arrays(section).checksum
    if first != second:
        raise DatasetError(
            "the samples must be the same each time, as a sweep is resumed and evaluated on them, and differ: draw "
            "random numbers by settings.seed, and read files in sorted order"
        )
    return f"checksum {first[:12]}"


def _labels(loaded: list[DataArrays]) -> Check:
    if not loaded or loaded[0].n_classes is None:
        return Check("its labels count classes", "skipped", "there are no labels" if loaded else "it did not load")
    return Check("its labels count classes", "passed", f"{loaded[0].n_classes} classes")
