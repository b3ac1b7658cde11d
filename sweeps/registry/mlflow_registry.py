"""The part of MLflow's Model Registry that a promotion needs: each method is one step."""

from collections.abc import Callable, Iterator, Mapping
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
from sweeps.registry.model_files import check_source, download_files
from sweeps.registry.packaging import Package
from sweeps.tracking.mlflow.connection import describe_error, longest_request_seconds, open_client
from sweeps.tracking.mlflow.uri import check_tracker

NETWORK_TAG, RUN_TAG = "sweeps.network", "sweeps.run"
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"
_PAGE = 100
_OUR_TAGS = "sweeps."


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model, its tags and aliases; `created_ms` is Unix time in milliseconds by the server's clock."""

    name: str
    created_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


class RegistryStore:
    """The registry of the tracking store at `uri`. Every method raises TrackingError if MLflow fails or refuses."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        check_tracker(uri)
        with self._mlflow_errors():
            self._client = open_client(uri)
            mlflow.set_tracking_uri(uri)  # MLflow resolves models:/ URIs against the global URI

    @property
    def request_seconds(self) -> float:
        """The longest that one request may last, in seconds, by MLflow's current settings."""
        return longest_request_seconds(self.uri)

    def find(self, name: str) -> RegisteredModel | None:
        """Return a registered model; None if there is none of that name."""
        with self._mlflow_errors():
            try:
                return _registered_model(self._client.get_registered_model(name))
            except MlflowException as error:
                if error.error_code == _MISSING:
                    return None
                raise

    def find_all(self, prefix: str) -> list[RegisteredModel]:
        """Return the registered models whose names start with `prefix`."""
        found: list[RegisteredModel] = []
        token = None
        while True:
            with self._mlflow_errors():
                page = self._client.search_registered_models(f"name LIKE '{prefix}%'", _PAGE, page_token=token)
            found += [_registered_model(model) for model in page if model.name.startswith(prefix)]
            token = page.token
            if not token:
                return found

    def create(self, name: str, tags: Mapping[str, str], description: str) -> RegisteredModel | None:
        """Register a model; None if the name is taken. Of concurrent callers MLflow lets exactly one succeed."""
        with self._mlflow_errors():
            try:
                return _registered_model(self._client.create_registered_model(name, dict(tags), description))
            except MlflowException as error:
                if error.error_code == _EXISTS:
                    return None
                raise

    def delete(self, name: str) -> None:
        """Delete a registered model, if it exists."""
        with self._mlflow_errors():
            try:
                self._client.delete_registered_model(name)
            except MlflowException as error:
                if error.error_code != _MISSING:
                    raise

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a registered model."""
        with self._mlflow_errors():
            self._client.set_registered_model_tag(name, key, value)

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        with self._mlflow_errors():
            self._client.set_model_version_tag(name, version, key, value)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version: the one step that changes the champion."""
        with self._mlflow_errors():
            self._client.set_registered_model_alias(name, alias, version)

    def version(self, name: str, version: str) -> ModelVersion | None:
        """Return a version with its tags; None if it was deleted."""
        with self._mlflow_errors():
            try:
                found: ModelVersion = self._client.get_model_version(name, version)
                return found
            except MlflowException as error:
                if error.error_code == _MISSING:
                    return None
                raise

    def versions_of_model(self, name: str, run_id: str, model_id: str) -> list[ModelVersion]:
        """Return the versions of a registered model made from a run's logged model, oldest first, with their tags."""
        with self._mlflow_errors():
            found = self._client.search_model_versions(f"name = '{name}' AND run_id = '{run_id}'", max_results=_PAGE)
        # A search result lacks `model_id`, but has the source.
        known = [version for version in found if version.source == f"models:/{model_id}"]
        return sorted(known, key=lambda version: int(version.version))

    def create_version(self, name: str, model_id: str, tags: Mapping[str, str], description: str) -> str:
        """Register a logged model as the next version, with all its tags at once; return its number."""
        with self._mlflow_errors():
            created = self._client.create_model_version(
                name, f"models:/{model_id}", tags[RUN_TAG], dict(tags), description=description, model_id=model_id
            )
        return str(created.version)

    def replace_tags(self, version: ModelVersion, tags: Mapping[str, str], description: str) -> None:
        """Replace the tags of a version that this package has set, and its description."""
        name, number = version.name, str(version.version)
        with self._mlflow_errors():
            for key in version.tags.keys() - tags.keys():
                if key.startswith(_OUR_TAGS):
                    self._client.delete_model_version_tag(name, number, key)
            for key, value in tags.items():
                if version.tags.get(key) != value:
                    self._client.set_model_version_tag(name, number, key, value)
            self._client.update_model_version(name, number, description)

    def find_logged(self, experiment_id: str, run_id: str, network: str) -> list[str]:
        """Return the ids of a run's completely logged models of the network with this checksum, by their tags."""
        with self._mlflow_errors():
            found = self._client.search_logged_models(
                [experiment_id], f"tags.`{NETWORK_TAG}` = '{network}' AND source_run_id = '{run_id}'"
            )
        return [str(model.model_id) for model in found if model.status == LoggedModelStatus.READY]

    def log(
        self, package: Package, folder: Path, run: Any, network: str, epoch: int, record: Callable[[str], None]
    ) -> None:
        """Log a package as a model of a run by way of `folder`, which must not exist.

        `record` is called with the model's id once `folder` is complete, and before it is sent. Until the last step the
        model is PENDING in MLflow, and `find_logged` ignores it.
        """
        with self._mlflow_errors():
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
            record(str(logged.model_id))
            self._client.log_model_artifacts(logged.model_id, str(folder))
            self._client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=epoch)])
            self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)

    def run(self, run_id: str) -> Any:
        """Return an MLflow run."""
        with self._mlflow_errors():
            return self._client.get_run(run_id)

    def download(self, model_id: str, folder: Path) -> Path:
        """Download a logged model's files to `folder`, which must not exist; InputError if they lie outside the store.

        Symbolic links are kept as such: no file outside the store is read.
        """
        with self._mlflow_errors():
            return download_files(self.uri, self._client.get_logged_model(model_id).artifact_location, folder)

    def download_version(self, version: ModelVersion, folder: Path) -> Path:
        """Download a version's files as `download` does; InputError unless its source is a logged model."""
        check_source(version.source or "")
        with self._mlflow_errors():  # not of the logged model, which may have been deleted since
            location = self._client.get_model_version_download_uri(version.name, str(version.version))
            return download_files(self.uri, location, folder)

    @contextmanager
    def _mlflow_errors(self) -> Iterator[None]:
        """Turn any MLflow error into a TrackingError, without the original, whose text may hold credentials."""
        try:
            yield
        except InputError:
            raise
        except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
            raise TrackingError(f"the MLflow request failed: {describe_error(error, self.uri)}") from None


def _registered_model(model: Any) -> RegisteredModel:
    aliases = {alias: str(version) for alias, version in model.aliases.items()}  # numbers if MLflow reads a database
    return RegisteredModel(model.name, int(model.creation_timestamp), dict(model.tags), aliases)
