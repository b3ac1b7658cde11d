"""The version that holds the alias, as a challenger meets it."""

from collections.abc import Callable
from pathlib import Path

from sweeps.errors import InputError, OutdatedModel, TrackingError
from sweeps.registry.benchmark import has_same_data
from sweeps.registry.challenger import Challenger
from sweeps.registry.contest import Champion
from sweeps.registry.mlflow_registry import NETWORK_TAG, RegistryStore
from sweeps.registry.promotion import Request
from sweeps.registry.version_files import Trust, load_version


def find_champion(
    store: RegistryStore, request: Request, challenger: Challenger, folder: Path, log: Callable[[str], None]
) -> Champion | None:
    """Return the version of a registered model that holds the alias; None if there is none.

    Its model is loaded by way of `folder` if it was trained on the challenger's data. If it cannot be loaded, because
    it was changed or packaged by an earlier release, the champion says why. A plug-in network of unknown files is the
    challenger's, whose code runs anyway, or one that the request names. Raises TrackingError if MLflow fails.
    """
    registered = store.find(request.model)
    number = None if registered is None else registered.aliases.get(request.alias)
    version = None if number is None else store.version(request.model, number)
    if version is None:
        return None
    number = str(version.version)
    if not has_same_data(version.tags, challenger.benchmark.arrays):
        return Champion(number, version.tags, None)
    named = (challenger.benchmark.trial.model.name, request.plugin)
    trust = Trust(plugins=tuple(name for name in named if name is not None))
    try:
        return Champion(number, version.tags, load_version(store, version, folder, log, trust))
    except TrackingError:
        raise
    except OutdatedModel as error:
        is_challenger = version.tags.get(NETWORK_TAG) == challenger.digest
        return Champion(number, version.tags, None, str(error), is_renewed=is_challenger)
    except InputError as error:
        return Champion(number, version.tags, None, str(error))
