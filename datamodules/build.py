"""From the `data` section of a config to the arrays it names, split. A section names the function that loads it."""

from pkgutil import resolve_name

from sweeps.datamodules.arrays import DataArrays
from sweeps.datamodules.config import DataConfig
from sweeps.datamodules.split_config import SplitConfig
from sweeps.datamodules.splits import Source, split


def load_arrays(config: DataConfig) -> DataArrays:
    """Load the data set that `config` names, and split it. Raises DatasetError with one line per issue."""
    settings: SplitConfig = config
    if config.settings_reader is not None:
        settings = resolve_name(config.settings_reader)(config)
    source: Source = resolve_name(config.loader)(settings)
    return split(source, settings)


def label_advice(config: DataConfig) -> str:
    """Return how to get labels for data that were read without any."""
    if config.label_adviser is None:
        return "use labelled data"
    advice: str = resolve_name(config.label_adviser)(config)
    return advice
