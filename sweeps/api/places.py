"""Where a sweep lies that is not on this machine: on a cluster, or in MLflow alone."""

import os
from typing import TYPE_CHECKING

from sweeps.api.sweep_names import OfSweep, sweep_name

if TYPE_CHECKING:
    from sweeps.cluster.jobs.submissions import Client
    from sweeps.cluster.jobs.submitted_sweep import SubmittedSweep


def submitted_elsewhere(sweep: str | OfSweep, address: str | None) -> "tuple[Client, SubmittedSweep] | None":
    """Return a client of the cluster that has a sweep, and the sweep there; None if the sweep is on this machine.

    With an `address`, which what `submit` returned has, only that cluster is asked. Raises UnknownSweep if neither has
    the sweep, ClusterError if the cluster does not answer.
    """
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import find_submitted
    from sweeps.errors import UnknownSweep
    from sweeps.storage.layout import find

    named = address or getattr(sweep, "address", None)
    if named is None:
        try:
            find(sweep_name(sweep))
        except UnknownSweep:
            if api_server(None) is None:
                raise
        else:
            return None
    client = connect(named)
    return client, find_submitted(client, sweep_name(sweep))


def tracking_server() -> str | None:
    """Return the MLflow server that MLFLOW_TRACKING_URI names; None for a local store, which only repeats journals."""
    from sweeps.tracking.mlflow.uri import tracking_uri

    uri = tracking_uri() if os.environ.get("MLFLOW_TRACKING_URI") else ""
    return uri if uri.startswith("http") else None
