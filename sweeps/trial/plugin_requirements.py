"""Whether the plug-in networks of a sweep take its data: tried before any trial starts."""

import logging
from collections.abc import Sequence

from sweeps.config import TrialConfig
from sweeps.datamodules.arrays import DataArrays
from sweeps.models.config import NetworkSettings
from sweeps.models.image_shape import SampleShape

# A search of many choices has many corners: those that are tried show what is wrong with most.
_N_TRIED = 16
_IRRELEVANT = {"noise", "hidden_l1"}


def plugin_issues(trials: Sequence[TrialConfig], arrays: DataArrays) -> list[str]:
    """Return a line for each plug-in network, at the corners of the search, that cannot be trained on these data."""
    sections = {
        trial.model.model_dump_json(exclude=_IRRELEVANT): trial.model
        for trial in trials
        if isinstance(trial.model, NetworkSettings)
    }
    if not sections:
        return []
    from sweeps.models.plugin_contract.contract import network_issues  # imports torch: only for plug-ins

    shape = SampleShape(arrays.n_features, arrays.image_shape)
    different = list(sections.values())
    step = -(-len(different) // _N_TRIED)
    return network_issues([*different[::step], different[-1]], shape)


def log_unpackable(trials: Sequence[TrialConfig], arrays: DataArrays) -> None:
    """Log for each plug-in network of these trials that cannot train packed as one network why not."""
    sections = {trial.model.name: trial.model for trial in trials if isinstance(trial.model, NetworkSettings)}
    if not sections:
        return
    from sweeps.models.plugin_contract.rules import packing_problem  # imports torch: only for plug-ins

    for name, section in sections.items():
        problem = packing_problem(section, SampleShape(arrays.n_features, arrays.image_shape))
        if problem is not None:
            logging.getLogger(__name__).warning("%s is not packed: %s. Its trials train one by one", name, problem)
