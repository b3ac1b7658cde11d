"""Which folders the server of `sweeps ui` reads and writes: those of the store's artifacts, and no others.

An experiment's artifact location is free text in the tracking store. It may name any folder of the user who serves it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import get_uri_scheme
from sqlalchemy import event

from sweeps.tracking.mlflow.uri import sqlite_path

_LOCAL_SCHEMES = ("", "file")


def artifact_folders(uri: str, destination: str) -> tuple[Path, ...]:
    """Return the folders of a store's artifacts: those beside a SQLite file, else in this folder, and `destination`.

    `uri.artifact_location`, MLflow's client and its server store artifacts there by default.
    """
    store = sqlite_path(uri)
    beside = Path.cwd() if store is None else store.parent
    folders = [beside / "mlartifacts", beside / "mlruns"]
    if (local := _local_path(destination)) is not None:
        folders.append(Path(local))
    return tuple(Path(os.path.realpath(folder)) for folder in folders)


def confine(folders: Sequence[Path]) -> None:
    """Have MLflow, in this process, refuse local artifact locations outside these folders: to store and to open them.

    Locations that are not local are left to MLflow.
    """

    def check(path: str) -> None:
        try:
            real = Path(os.path.realpath(path))
        except ValueError:  # a null byte
            real = Path()
        if not any(real.is_relative_to(folder) for folder in folders):
            listed = ", ".join(map(str, folders))
            raise MlflowException(
                f"a local artifact location must lie in {listed}, and {path!r} does not: `sweeps ui` serves no others",
                PERMISSION_DENIED,
            )

    class ConfinedArtifactRepository(LocalArtifactRepository):
        """A folder of artifacts that must be one of the store's."""

        def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
            super().__init__(artifact_uri, tracking_uri, registry_uri)
            check(self.artifact_dir)

        def delete_artifacts(self, artifact_path: str | None = None) -> None:
            """Delete artifacts; unlike the other methods, MLflow's own one follows links out of the folder."""
            check(os.path.join(self.artifact_dir, artifact_path or ""))  # noqa: PTH118
            super().delete_artifacts(artifact_path)  # type: ignore[no-untyped-call]

    registered: dict[str, Any] = artifact_repository_registry.get_registered_artifact_repositories()
    registered.update(dict.fromkeys(_LOCAL_SCHEMES, ConfinedArtifactRepository))

    def check_location(_record: Any, location: str | None, *_: Any) -> None:
        if location and (path := _local_path(location)) is not None:
            check(path)

    columns: list[Any] = [SqlExperiment.artifact_location, SqlRun.artifact_uri, SqlLoggedModel.artifact_location]
    for column in columns:
        event.listen(column, "set", check_location)


def _local_path(location: str) -> str | None:
    """Return the path of a local artifact location; None if it is not local."""
    if get_uri_scheme(location) not in _LOCAL_SCHEMES:  # type: ignore[no-untyped-call]
        return None
    return cast("str", local_file_uri_to_path(location))  # type: ignore[no-untyped-call]
