"""Where a sweep is: on this machine, on a cluster, or known to MLflow alone."""

import os
from typing import TYPE_CHECKING, TypeVar

from sweeps.cli.options import print_result, tell

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeps.cluster.jobs.submissions import Client, SubmittedSweep
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep


def is_here(sweep: str, address: str | None) -> bool:
    """Whether a command means a sweep of this machine: not where a cluster is named, or knows what is unknown here.

    Raises UnknownSweep where nothing else could know it.
    """
    from sweeps.cluster.jobs.client import api_server
    from sweeps.errors import UnknownSweep
    from sweeps.storage.layout import find

    if address is not None:
        return False
    try:
        find(sweep)
    except UnknownSweep:
        if api_server(None) is None and not (_tracking_uri() or "").startswith("http"):
            raise
        return False
    return True


def client_for(sweep: str, address: str | None) -> "Client | None":
    """The cluster that has a sweep; None where it is here."""
    from sweeps.cluster.jobs.client import api_server
    from sweeps.storage.layout import find

    if address is None and api_server(None) is None:
        find(sweep)
        return None
    return None if is_here(sweep, address) else _connected(sweep, address)


def client_for_run(run: str, address: str | None) -> "Client | None":
    """The cluster that is to have what `run` names, a sweep, a trial or its run in MLflow; None where that is here.

    None, too, where no cluster is named.
    """
    from sweeps.cluster.jobs.client import api_server

    if api_server(address) is None:
        return None
    from sweeps.tracking.trial_lookup import is_local

    return None if address is None and is_local(run) else _connected(run, address)


def _connected(name: str, address: str | None) -> "Client":
    """The cluster, and a line that it is asked: what it then says that it has not got is neither there nor here."""
    from sweeps.cluster.jobs.client import connect

    client = connect(address)
    tell(f"{'' if address else f'{name} is not here: '}the cluster is asked")
    return client


def list_elsewhere(address: str | None) -> "tuple[list[SubmittedSweep], list[TrackedSweep], list[str]]":
    """The sweeps on the cluster, where one is named, and in MLflow; and a line for each that cannot be asked.

    MLflow is asked where it is a server, or where a cluster is named, too: a file here has no more than SWEEPS_HOME.
    """
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import all_submitted
    from sweeps.tracking.mlflow.run_lookup import list_tracked

    issues: list[str] = []
    server, uri = api_server(address), _tracking_uri()
    if server is None and not (uri or "").startswith("http"):
        return [], [], []
    there = (server and _asked(lambda: all_submitted(connect(address)), issues)) or []
    tracked = (uri and _asked(lambda: list_tracked(uri), issues)) or []
    return there, tracked, issues


def status_elsewhere(sweep: str, address: str | None, as_json: bool) -> None:
    """Tell how a sweep stands that is not here: by its job, and by its runs in MLflow, or by the one that answers."""
    from sweeps.cli.display import terminal
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import find_submitted
    from sweeps.errors import UnknownSweep
    from sweeps.tracking.mlflow.run_lookup import find_tracked

    issues: list[str] = []
    server, uri = api_server(address), _tracking_uri()
    there = _asked(lambda: find_submitted(connect(address), sweep), issues) if server else None
    tracked = _asked(lambda: find_tracked(uri, there.sweep if there else sweep), issues) if uri else None
    if there is None and tracked is None:
        raise UnknownSweep(issues or f"no sweep {sweep!r} here, on a cluster that is named, or in MLflow")
    plain = there.to_dict() if there else {"sweep": tracked and tracked.sweep, "state": tracked and tracked.state}
    plain |= {"tracked": tracked and tracked.to_dict(), "errors": issues}
    print_result(plain, as_json, lambda: terminal.elsewhere([there] if there else [], [tracked] if tracked else []))
    for issue in issues:
        tell(issue)


def _asked(ask: "Callable[[], T]", issues: list[str]) -> "T | None":
    """What the cluster or MLflow answers; a line added to `issues` where it does not."""
    from sweeps.errors import InputError

    try:
        return ask()
    except InputError as error:
        issues.extend(error.issues)
        return None


def _tracking_uri() -> str | None:
    from sweeps.tracking.mlflow.uri import tracking_uri

    return tracking_uri() if os.environ.get("MLFLOW_TRACKING_URI") else None
