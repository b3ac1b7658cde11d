"""MLflow's Model Registry, as far as a promotion needs it: each method is one step that is taken or is not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from sweeps.errors import InputError, TrackingError
from sweeps.registry.packaging import Package
from sweeps.tracking.mlflow.connection import describe_error, longest_request_seconds, open_client
from sweeps.tracking.mlflow.uri import check_tracker

NETWORK_TAG, RUN_TAG = "sweeps.network", "sweeps.run"
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"
_PAGE = 100
_OUR_TAGS = "sweeps."


@dataclass(frozen=True)
class Entry:
    """A registered model: when it was made (milliseconds since 1970, the server's clock), its tags and aliases."""

    name: str
    created_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


class RegistryStore:
    """The registry beside the tracking store at `uri`. Raises TrackingError where MLflow does not do what is asked."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        check_tracker(uri)
        with self._told():
            self._client = open_client(uri)
            mlflow.set_tracking_uri(uri)  # to resolve models:/ addresses, MLflow asks the store that is set

    @property
    def request_seconds(self) -> float:
        """The longest that one request may last before it is given up, in seconds, by the settings in force."""
        return longest_request_seconds(self.uri)

    def find(self, name: str) -> Entry | None:
        """A registered model; None where there is none of that name."""
        with self._told():
            try:
                return _entry(self._client.get_registered_model(name))
            except MlflowException as error:
                if error.error_code == _MISSING:
                    return None
                raise

    def find_all(self, prefix: str) -> list[Entry]:
        """The registered models whose names begin with `prefix`."""
        found: list[Entry] = []
        token = None
        while True:
            with self._told():
                page = self._client.search_registered_models(f"name LIKE '{prefix}%'", _PAGE, page_token=token)
            found += [_entry(model) for model in page if model.name.startswith(prefix)]
            token = page.token
            if not token:
                return found

    def create(self, name: str, tags: Mapping[str, str], description: str) -> Entry | None:
        """Register a model; None where the name is taken. MLflow lets one caller of many have it."""
        with self._told():
            try:
                return _entry(self._client.create_registered_model(name, dict(tags), description))
            except MlflowException as error:
                if error.error_code == _EXISTS:
                    return None
                raise

    def delete(self, name: str) -> None:
        """Remove a registered model; nothing happens where there is none."""
        with self._told():
            try:
                self._client.delete_registered_model(name)
            except MlflowException as error:
                if error.error_code != _MISSING:
                    raise

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model."""
        with self._told():
            self._client.set_registered_model_tag(name, key, value)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version: the one step that changes who is champion."""
        with self._told():
            self._client.set_registered_model_alias(name, alias, version)

    def version(self, name: str, version: str) -> ModelVersion | None:
        """A version with its tags; None where it was deleted."""
        with self._told():
            try:
                found: ModelVersion = self._client.get_model_version(name, version)
                return found
            except MlflowException as error:
                if error.error_code == _MISSING:
                    return None
                raise

    def versions_of_model(self, name: str, run_id: str, model_id: str) -> list[ModelVersion]:
        """The versions of a registered model that hold a logged model of a run, oldest first, with their tags."""
        with self._told():
            found = self._client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'", max_results=_PAGE)
        # MLflow tells a version's source, and not which logged model it is.
        known = [version for version in found if version.source == f"models:/{model_id}"]
        return sorted(known, key=lambda version: int(version.version))

    def create_version(self, name: str, model_id: str, tags: Mapping[str, str], description: str) -> str:
        """Register a logged model as the next version, with all its tags at once; gives its number."""
        with self._told():
            created = self._client.create_model_version(
                name, f"models:/{model_id}", tags[RUN_TAG], dict(tags), description=description, model_id=model_id
            )
        return str(created.version)

    def renew_version(self, version: ModelVersion, tags: Mapping[str, str], description: str) -> None:
        """Give a version other tags, and another description, in place of those of ours that it has."""
        name, number = version.name, str(version.version)
        with self._told():
            for key in version.tags.keys() - tags.keys():
                if key.startswith(_OUR_TAGS):
                    self._client.delete_model_version_tag(name, number, key)
            for key, value in tags.items():
                if version.tags.get(key) != value:
                    self._client.set_model_version_tag(name, number, key, value)
            self._client.update_model_version(name, number, description)

    def find_logged(self, experiment_id: str, run_id: str, network: str) -> str | None:
        """The model that was logged of a run from a network of this checksum, whole; None where there is none."""
        with self._told():
            found = self._client.search_logged_models(
                [experiment_id], f"tags.`{NETWORK_TAG}` = '{network}' AND source_run_id = '{run_id}'"
            )
        ready = [model.model_id for model in found if model.status == LoggedModelStatus.READY]
        return ready[0] if ready else None

    def log(self, package: Package, folder: Path, run: Any, network: str, epoch: int) -> str:
        """Log a package as a model of a run, written to `folder` on the way, which must not exist; gives its id.

        Until the last step it is PENDING in MLflow, and `find_logged` does not find it.
        """
        with self._told():
            logged = self._client.create_logged_model(
                run.info.experiment_id,
                name="autoencoder",
                source_run_id=run.info.run_id,
                tags={NETWORK_TAG: network},
                params=run.data.params,
                model_type="autoencoder",
            )
            model = Model(
                artifact_path=logged.artifact_location,
                run_id=run.info.run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
            )
            package.save(folder, model)
            self._client.log_model_artifacts(logged.model_id, str(folder))
            self._client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=epoch)])
            self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        return str(logged.model_id)

    def run(self, run_id: str) -> Any:
        """An MLflow run."""
        with self._told():
            return self._client.get_run(run_id)

    def download(self, model_uri: str, folder: Path) -> Path:
        """Copy a model's files below `folder`; gives where they lie."""
        with self._told():
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=str(folder)))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever MLflow raises into an error of ours, without the original: its text may hold credentials."""
        try:
            yield
        except InputError:
            raise
        except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
            raise TrackingError(f"MLflow did not do what was asked: {describe_error(error, self.uri)}") from None


def _entry(model: Any) -> Entry:
    aliases = {alias: str(version) for alias, version in model.aliases.items()}  # of a database they are numbers
    return Entry(model.name, int(model.creation_timestamp), dict(model.tags), aliases)
