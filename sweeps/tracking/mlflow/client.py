"""The MLflow client of a sweep: its experiment, its runs, and what is logged to them.

mlflow takes seconds to import, so it is imported on first use, here and in `mlflow.connection` only. Every call is
idempotent: MLflow ignores a metric of the same name, step, time and value, and a parameter of the same value, and runs
are looked up by their tags before they are created.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sweeps.storage.private_files import make_folder
from sweeps.tracking.mlflow.connection import Unavailable, open_client, translated_errors
from sweeps.tracking.mlflow.run_metadata import NOTE_TAG, POINT_TAG, SWEEP_TAG, dataset_fields
from sweeps.tracking.mlflow.uri import artifact_location, sqlite_path

# Without this tag, MLflow 3.17 shows the experiment in its GenAI pages, which hide runs.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# What the page of an experiment says about it, unless a person has described it.
_DESCRIPTION = """\
Sweeps of autoencoders, recorded by `sweeps`. Each **sweep** is a parent run, and its **trials** are nested under it.
The name of a trial begins with its number.

- **Best trial**: sort by the metric `best/<objective>`, such as `best/valid/mse`, or by the tag `sweeps.rank`, the
order of `sweeps best`. The metrics under `best/` are those of the trial's best epoch (tag `sweeps.best_epoch`).
- **Progress**: in a parent run, `best_so_far/<objective>` is the best value so far, by the number of ended trials.
- **Ranking**: the description of a parent run names its best trials once the sweep has ended.
- **Ends**: the tag `sweeps.stopped_by` names what ended a trial, `sweeps.reason` says why it failed, and
`sweeps.diagnosis` names what its training shows.
- **One sweep**: filter by ``tags.`sweeps.sweep` = '<sweep>'``.
"""
_PAGE = 100


@dataclass(frozen=True)
class Measurement:
    """One value of a metric."""

    name: str
    value: float
    time_ms: int
    step: int


class MlflowStore:
    """The runs of one sweep in one experiment of a tracking store. Raises only Refused and Unavailable."""

    def __init__(self, uri: str, experiment: str, sweep_id: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.sweep_id = sweep_id
        with translated_errors(self.uri):
            self._client = open_client(uri)
            self.experiment_id = self._find_experiment()

    def find_runs(self) -> dict[str | None, str]:
        """Return the sweep's run ids by point, deleted runs included, the parent under None; of two runs, the older."""
        from mlflow.entities import ViewType

        found: dict[str | None, str] = {}
        token = None
        while True:
            with translated_errors(self.uri):
                page = self._client.search_runs(
                    [self.experiment_id],
                    filter_string=f"tags.`{SWEEP_TAG}` = '{self.sweep_id}'",
                    run_view_type=ViewType.ALL,
                    max_results=_PAGE,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
            for run in page:
                found.setdefault(run.data.tags.get(POINT_TAG), run.info.run_id)
            token = page.token
            if not token:
                return found

    def set_experiment_tag(self, key: str, value: str) -> None:
        """Set a tag of the experiment."""
        with translated_errors(self.uri):
            self._client.set_experiment_tag(self.experiment_id, key, value)

    def create_run(self, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        with translated_errors(self.uri):
            run = self._client.create_run(self.experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def log(
        self, run_id: str, metrics: Sequence[Measurement], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log metrics, parameters and tags to a run, in as many requests as MLflow's limits require."""
        from mlflow.entities import Metric, Param, RunTag

        with translated_errors(self.uri):
            self._client.log_batch(
                run_id,
                metrics=[Metric(m.name, m.value, m.time_ms, m.step) for m in metrics],
                params=[Param(key, value) for key, value in params.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )

    def log_dataset(self, run_id: str, description: Mapping[str, Any]) -> None:
        """Log the data set that a run is trained on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(**dataset_fields(description))
        with translated_errors(self.uri):
            self._client.log_inputs(
                run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
            )

    def log_file(self, run_id: str, name: str, content: bytes) -> None:
        """Log an image or a text as the artifact `name` of a run."""
        path = PurePosixPath(name)
        with translated_errors(self.uri), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path.name
            file.write_bytes(content)
            self._client.log_artifact(run_id, str(file), None if path.parent == PurePosixPath() else str(path.parent))

    def end_run(self, run_id: str, status: str, end_ms: int) -> None:
        """Set the status of an ended run: FINISHED, FAILED or KILLED."""
        with translated_errors(self.uri):
            self._client.set_terminated(run_id, status, end_ms)

    def reopen_run(self, run_id: str) -> None:
        """Set the status of a run back to RUNNING."""
        with translated_errors(self.uri):
            self._client.update_run(run_id, status="RUNNING")

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted, so that `mlflow gc` removes it; do nothing if it is marked already."""
        with translated_errors(self.uri):
            self._client.delete_run(run_id)

    def _find_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            location = artifact_location(self.uri, self.experiment)
            if location is not None and (store := sqlite_path(self.uri)) is not None:
                make_folder(store.parent / "mlartifacts")  # private; MLflow would make it readable
            try:
                tags = _EXPERIMENT_TAGS | {NOTE_TAG: _DESCRIPTION}
                return str(self._client.create_experiment(self.experiment, location, tags))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(self.experiment)
        if found.lifecycle_stage != "active":
            raise Unavailable(
                f"the experiment {self.experiment!r} must be active, and is deleted in MLflow: restore it",
                answered=False,
            )
        if not found.tags.get(NOTE_TAG):
            self._client.set_experiment_tag(found.experiment_id, NOTE_TAG, _DESCRIPTION)
        return str(found.experiment_id)


def search(uri: str, filter_string: str, limit: int | None) -> list[Any]:
    """Return runs of any experiment, newest first, at most `limit` if given."""
    found: list[Any] = []
    token = None
    with translated_errors(uri):
        client = open_client(uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        while experiments:
            n_wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            order = ["attributes.start_time DESC"]
            page = client.search_runs(
                experiments, filter_string, max_results=n_wanted, order_by=order, page_token=token
            )
            found += page
            token = page.token
            if not token or len(found) == limit:
                break
    return found
