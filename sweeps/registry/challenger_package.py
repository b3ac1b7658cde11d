"""The challenger as an MLflow model: packaged, logged, and downloaded again as users will get it.

A logged model is reused if its trial's folder records that it was logged from here, with the SHA-256 that its files
still have. A model that someone else has logged, whatever its tags say, is never taken for the challenger. A plug-in
network is always logged anew: its export is loaded without a grammar, so it must be one that this process has written.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sweeps.errors import InputError
from sweeps.registry.challenger import Challenger
from sweeps.registry.mlflow_registry import RegistryStore
from sweeps.registry.package_digest import package_digest
from sweeps.registry.packaged_model import PackagedModel
from sweeps.registry.packaging import Package
from sweeps.storage import atomic_write
from sweeps.storage.object_store import Place


class LoggedPackage(BaseModel):
    """What a trial's folder records of its logged model: its id in MLflow, and the SHA-256 of its files."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model_id: str
    sha256: str


def package_challenger(
    store: RegistryStore, challenger: Challenger, folder: Path, log: Callable[[str], None], *, dry_run: bool
) -> tuple[str | None, PackagedModel]:
    """Return the challenger's id as a logged model of MLflow, and the model; in a dry run nothing is logged.

    Raises InputError if its run was not delivered, or if MLflow returns other files than were logged.
    """
    package = challenger.package
    if dry_run:
        package.save(folder / "package")
        return None, PackagedModel.load(folder / "package", is_known=True)
    run = store.run(_run_id(challenger))
    known = _recorded(_record_of(challenger)) if package.plugin is None else None
    if known is not None and known.model_id in store.find_logged(
        run.info.experiment_id, run.info.run_id, challenger.digest
    ):
        model = _reloaded(store, known, folder / "known")
        if model is not None:
            return known.model_id, model
        log(f"the logged model {known.model_id} was changed since it was logged, and is not used; logging it again")
    logged = _logged(store, challenger, package, run, folder / "package")
    model = _reloaded(store, logged, folder / "logged")
    if model is None:
        raise InputError(
            f"the files of the logged model {logged.model_id} must be those that were sent to MLflow, and differ: find "
            "out what changed them, then promote again"
        )
    return logged.model_id, model


def _run_id(challenger: Challenger) -> str:
    if challenger.ranked.run_id is None:
        sweep = challenger.result.sweep
        raise InputError(
            f"the run of {sweep}/{challenger.ranked.trial} must be delivered to MLflow first: `sweeps sync {sweep}`"
        )
    return challenger.ranked.run_id


def _record_of(challenger: Challenger) -> Place:
    return challenger.result.folder.point(challenger.ranked.trial).logged_package


def _recorded(path: Place) -> LoggedPackage | None:
    """Return the record of a logged model; None if there is none, or a damaged one: the trial is logged again then."""
    try:
        return LoggedPackage.model_validate_json(path.read_bytes()) if path.exists() else None
    except ValidationError:
        return None


def _logged(store: RegistryStore, challenger: Challenger, package: Package, run: Any, folder: Path) -> LoggedPackage:
    """Save the challenger's package in `folder` and log it; its digest is recorded before anything is sent.

    Raises InputError, before MLflow has a model, if it is a plug-in that cannot be exported.
    """
    _ = package.exported
    logged: list[LoggedPackage] = []

    def record(model_id: str) -> None:
        logged.append(LoggedPackage(model_id=model_id, sha256=package_digest(folder)))
        atomic_write.write_or_raise(_record_of(challenger), logged[0].model_dump_json().encode())

    store.log(package, folder, run, challenger.digest, challenger.ranked.epoch, record)
    return logged[0]


def _reloaded(store: RegistryStore, logged: LoggedPackage, folder: Path) -> PackagedModel | None:
    """Download a logged model and load it; None if its files are not those that were logged."""
    files = store.download(logged.model_id, folder)
    try:
        digest = package_digest(files)
    except InputError:  # symbolic links
        return None
    return PackagedModel.load(files, digest, is_known=True) if digest == logged.sha256 else None
