"""Look at sweeps and trials from Python: status, best, diagnose, evaluate and the list of sweeps."""

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sweeps.api.progress import without_hints_at_widgets
from sweeps.api.sweep_names import OfSweep, find_here, find_run_here, sweep_name

if TYPE_CHECKING:
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.evaluation import Evaluation
    from sweeps.tracking.sweep_result import SweepResult
    from sweeps.tracking.trial_lookup import TrialResult

logger = logging.getLogger(__name__)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@without_hints_at_widgets()
def status(sweep: str | OfSweep, *, address: str | None = None) -> "SweepStatus":
    """Return the state of a sweep and of its trials: on this machine, else on the cluster, else in MLflow.

    Args:
        sweep: The sweep: its id, a unique prefix of it, its name, `latest`, or what another function returned for it.
        address: API server of the cluster to ask instead; by default that of `submit`, or RAY_API_SERVER_ADDRESS if the
            sweep is not on this machine.

    Raises:
        UnknownSweep: No place has the sweep.
        ClusterError: The cluster does not answer, and MLflow does not know the sweep.

    Example:
        >>> now = sweeps.status("demo")
        >>> now.state, now.n_finished, now.n_failed
        ('FINISHED', 3, 0)

    """
    from sweeps.api.places import submitted_elsewhere, tracking_server
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.errors import ClusterError, UnknownSweep
    from sweeps.tracking.mlflow.run_lookup import find_tracked
    from sweeps.tracking.results import load_result

    try:
        elsewhere = submitted_elsewhere(sweep, address)
    except (UnknownSweep, ClusterError):
        server = tracking_server()
        tracked = None if server is None else find_tracked(server, sweep_name(sweep))
        if tracked is None:
            raise
        return SweepStatus.of_tracked(tracked)
    if elsewhere is not None:
        return SweepStatus.of_submitted(elsewhere[1])
    return SweepStatus.of_result(load_result(find_here(sweep, "status")))


@without_hints_at_widgets()
def best(sweep: str | OfSweep) -> "SweepResult":
    """Return the result of a sweep, running or ended, with its trials ranked: `.best` is the first.

    Args:
        sweep: The sweep, as for `status`.

    Raises:
        UnknownSweep: There is no such sweep on this machine.

    Example:
        >>> result = sweeps.best("demo")
        >>> result.best.trial == result.trials().index[0]
        True

    """
    from sweeps.tracking.results import load_result

    return load_result(find_here(sweep, "best"))


@without_hints_at_widgets()
def diagnose(run: str | OfSweep, trial: str | int | None = None) -> "TrialResult":
    """Return a trial with its diagnosis: why it did not learn, the numbers behind each finding, and what to change.

    Args:
        run: SWEEP/TRIAL, a sweep as for `status`, or the id of an MLflow run.
        trial: A trial of the sweep, by id or number; by default the best.

    Raises:
        UnknownSweep: There is no such sweep on this machine.
        UnknownTrial: It has no such trial, or none that is ranked.

    Example:
        >>> found = sweeps.diagnose("demo", trial=0)
        >>> str(found.state), [finding["name"] for finding in found.diagnosis]
        ('FINISHED', [])

    """
    from sweeps.tracking.trial_lookup import load_trial

    return load_trial(find_run_here(run, "diagnose"), trial)


@without_hints_at_widgets()
def evaluate(run: str | OfSweep, trial: str | int | None = None) -> "Evaluation":
    """Evaluate the best checkpoint of a finished trial on the test split, which no search has used.

    Args:
        run: As for `diagnose`.
        trial: As for `diagnose`.

    Raises:
        InputError: The trial has not finished, or its checkpoint is missing.
        DataError: The data set has changed since, or has no test split.

    Example:
        >>> evaluation = sweeps.evaluate("demo/0")
        >>> evaluation.n_samples, evaluation.metrics["test/probe_error"] < 0.9
        (700, True)

    """
    from sweeps.evaluation import evaluate
    from sweeps.tracking.trial_lookup import find_trial

    result, point = find_trial(find_run_here(run, "evaluate"), trial)
    return evaluate(result, point.point_id)


@without_hints_at_widgets()
def list_sweeps(*, address: str | None = None) -> "list[SweepStatus]":
    """Return the status of every sweep under SWEEPS_HOME, on the cluster and on the MLflow server; newest first.

    A place that does not answer is logged as a warning, and the sweeps of the others are returned.

    Args:
        address: API server of the cluster to ask, too; by default RAY_API_SERVER_ADDRESS.

    Example:
        >>> [(found.state, found.n_trials) for found in sweeps.list_sweeps()]
        [('FINISHED', 3)]

    """
    from sweeps.api.places import tracking_server
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import all_submitted
    from sweeps.errors import InputError
    from sweeps.tracking.all_results import load_all
    from sweeps.tracking.mlflow.run_lookup import list_tracked

    results, unreadable = load_all()
    found = [SweepStatus.of_result(result) for result in results]
    found += [SweepStatus.of_unreadable(sweep) for sweep in unreadable]
    try:
        if api_server(address) is not None:
            found += [SweepStatus.of_submitted(sweep) for sweep in all_submitted(connect(address))]
    except InputError as error:
        logger.warning("The sweeps of the cluster are missing: %s", error)
    try:
        server = tracking_server()
        tracked = [] if server is None else list_tracked(server)
        found += [SweepStatus.of_tracked(sweep) for sweep in tracked]
    except InputError as error:
        logger.warning("The sweeps in MLflow are missing: %s", error)
    first = {
        status.sweep: status for status in reversed(found)
    }  # a sweep here may also be on the cluster and in MLflow
    return sorted(first.values(), key=lambda status: status.started or _LONG_AGO, reverse=True)
