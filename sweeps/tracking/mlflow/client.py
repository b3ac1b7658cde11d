"""MLflow, as far as a sweep needs it: an experiment, its runs, and what is logged to them.

The only module of tracking that imports mlflow, on first use, which takes seconds. Everything that it does may be done
again without harm: MLflow takes a metric of the same name, step, time and value, or a parameter of the same value, for
the one it has, and runs are looked up by their tags before they are created.
"""

import fcntl
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from sweeps.tracking.mlflow.run_metadata import POINT_TAG, SWEEP_TAG, dataset_fields
from sweeps.tracking.mlflow.uri import artifact_location, sqlite_path, without_credentials

# MLflow itself would retry a request for minutes; the shipper retries, and must be able to stop.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# Without it MLflow 3.17 opens the experiment among its pages for language models, where runs do not show.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_SHORT_REASONS = {
    r"connection refused": "refuses connections",
    r"timed? ?out": "does not answer in time",
    r"name or service not known|failed to resolve|name resolution": "has a name that is not known here",
    r"connection reset|connection aborted|remotedisconnected": "closed the connection",
    r"too many (\d+) error responses": "answers with errors",
    r"database is locked": "is locked by another process",
}
_PAGE = 100
# Of urllib3's, between two attempts at a request.
_LONGEST_PAUSE_SECONDS = 120.0


class Refused(Exception):
    """MLflow will never take this: trying again is of no use."""


class Unavailable(Exception):
    """MLflow did not take this now. `answered`: it did so by an answer, so another request may fare better."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


@dataclass(frozen=True)
class Measurement:
    """One value of a metric."""

    name: str
    value: float
    time_ms: int
    step: int


class MlflowStore:
    """One experiment of a tracking store, and in it the runs of one sweep. Raises Refused and Unavailable only."""

    def __init__(self, uri: str, experiment: str, sweep_id: str) -> None:
        self.uri = uri
        self.experiment = experiment
        self.sweep_id = sweep_id
        with _translated(self.uri):
            self._client = open_client(uri)
            self.experiment_id = self._find_experiment()

    def find_runs(self) -> dict[str | None, str]:
        """Give the runs that the sweep has by point, the parent's under None, deleted ones too; of twins the elder."""
        from mlflow.entities import ViewType

        found: dict[str | None, str] = {}
        token = None
        while True:
            with _translated(self.uri):
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

    def create_run(self, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        """Create a run and give its id."""
        with _translated(self.uri):
            run = self._client.create_run(self.experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def log(
        self, run_id: str, metrics: Sequence[Measurement], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log to a run, in as many requests as MLflow's limits ask for."""
        from mlflow.entities import Metric, Param, RunTag

        with _translated(self.uri):
            self._client.log_batch(
                run_id,
                metrics=[Metric(m.name, m.value, m.time_ms, m.step) for m in metrics],
                params=[Param(key, value) for key, value in params.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )

    def log_dataset(self, run_id: str, description: Mapping[str, Any]) -> None:
        """Tell which data a run is trained on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(**dataset_fields(description))
        with _translated(self.uri):
            self._client.log_inputs(
                run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
            )

    def log_file(self, run_id: str, name: str, content: bytes) -> None:
        """Log a picture or a text under the path `name` among a run's artifacts."""
        path = PurePosixPath(name)
        with _translated(self.uri), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path.name
            file.write_bytes(content)
            self._client.log_artifact(run_id, str(file), None if path.parent == PurePosixPath() else str(path.parent))

    def end_run(self, run_id: str, status: str, end_ms: int) -> None:
        """Tell that a run has ended: FINISHED, FAILED or KILLED."""
        with _translated(self.uri):
            self._client.set_terminated(run_id, status, end_ms)

    def reopen_run(self, run_id: str) -> None:
        """Tell that a run goes on."""
        with _translated(self.uri):
            self._client.update_run(run_id, status="RUNNING")

    def delete_run(self, run_id: str) -> None:
        """Move a run to the deleted ones, from which MLflow's `gc` removes it; one that is there already stays."""
        with _translated(self.uri):
            self._client.delete_run(run_id)

    def _find_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            location = artifact_location(self.uri, self.experiment)
            try:
                return str(self._client.create_experiment(self.experiment, location, _EXPERIMENT_TAGS))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(self.experiment)
        if found.lifecycle_stage != "active":
            raise Unavailable(f"the experiment {self.experiment!r} is deleted in MLflow: restore it", answered=False)
        return str(found.experiment_id)


def search(uri: str, filter_string: str, limit: int | None) -> list[Any]:
    """Find runs of any experiment, the newest first; all of them, or at most `limit`."""
    found: list[Any] = []
    token = None
    with _translated(uri):
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


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises into one of our two; without the original, whose text may hold credentials."""
    from mlflow.exceptions import MlflowException, RestException
    from requests import ConnectionError, Timeout  # noqa: A004
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise Refused(in_one_line(error, uri)) from None
        answered = isinstance(error, RestException) or "error responses" in str(error)
        raise Unavailable(in_one_line(error, uri), answered=answered) from None
    except (ConnectionError, Timeout, SQLAlchemyError) as error:
        raise Unavailable(in_one_line(error, uri), answered=False) from None
    except OSError as error:  # A file that the server, or the disk beside a SQLite store, does not take.
        raise Unavailable(in_one_line(error, uri), answered=True) from None


def in_one_line(error: Exception, uri: str) -> str:
    """Tell what MLflow, or the way to it, has raised: in one line, without credentials."""
    text = without_credentials(" ".join(str(error).split()))
    for pattern, reason in _SHORT_REASONS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return f"{without_credentials(uri)} {reason}"
    return text[:300]


def set_environment() -> None:
    """Set what MLflow is to do in this process, where nobody has; some of it counts when MLflow is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def open_client(uri: str) -> Any:
    """Give MLflow's client for a store, whose tables are made where it is new; raises what MLflow raises."""
    set_environment()
    from mlflow import MlflowClient

    # What goes wrong is raised and told in one line; MLflow would log it besides, over whatever is on the terminal.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    with _sole_initialisation(uri):
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def longest_request_seconds(uri: str) -> float:
    """Give how long a request to a store may last before MLflow gives it up, repetitions and pauses included.

    A database has no such limit of MLflow's. SQLite waits five seconds for a lock; of a statement to another one that
    takes longer than ten minutes, its connection is taken for dead.
    """
    from mlflow import environment_variables

    settings: Any = environment_variables
    if sqlite_path(uri) is not None:
        return 30.0
    if not uri.startswith("http"):
        return 600.0
    n_retries = settings.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
    factor, jitter = (
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get(),
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.get(),
    )
    pauses = sum(min(_LONGEST_PAUSE_SECONDS, factor * 2.0**attempt) + jitter for attempt in range(n_retries))
    return float(settings.MLFLOW_HTTP_REQUEST_TIMEOUT.get() * (n_retries + 1) + pauses)


@contextmanager
def _sole_initialisation(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of a new SQLite store: MLflow's own making of them cannot share."""
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"sweeps-{os.getuid()}-{sha256(bytes(path.resolve())).hexdigest()[:16]}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
