"""The version that holds the alias, as a challenger meets it."""

from collections.abc import Callable
from pathlib import Path

from sweeps.errors import InputError, OutdatedModel, TrackingError
from sweeps.registry.benchmark import has_same_data
from sweeps.registry.challenger import Challenger
from sweeps.registry.contest import Champion
from sweeps.registry.mlflow_registry import NETWORK_TAG, RegistryStore
from sweeps.registry.version_files import load_version


def find_champion(
    store: RegistryStore, name: str, alias: str, challenger: Challenger, folder: Path, log: Callable[[str], None]
) -> Champion | None:
    """Return the version of a registered model that holds the alias; None if there is none.

    Its model is loaded by way of `folder` if it was trained on the challenger's data. If it cannot be loaded, because
    it was changed or packaged by an earlier release, the champion says why. Raises TrackingError if MLflow fails.
    """
    registered = store.find(name)
    number = None if registered is None else registered.aliases.get(alias)
    version = None if number is None else store.version(name, number)
    if version is None:
        return None
    number = str(version.version)
    if not has_same_data(version.tags, challenger.benchmark.arrays):
        return Champion(number, version.tags, None)
    try:
        return Champion(number, version.tags, load_version(store, version, folder, log))
    except TrackingError:
        raise
    except OutdatedModel as error:
        is_challenger = version.tags.get(NETWORK_TAG) == challenger.digest
        return Champion(number, version.tags, None, str(error), is_renewed=is_challenger)
    except InputError as error:
        return Champion(number, version.tags, None, str(error))
