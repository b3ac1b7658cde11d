"""Commands about MLflow's copy of a sweep: deliver to it, look at it."""

from typing import Annotated

import typer

from sweeps.cli.commands import locate, remote
from sweeps.cli.options import Address, Json, Sweep, print_result

# How long a sweep of thousands of trials takes to deliver from the cluster to a busy MLflow server.
REMOTE_TIMEOUT_SECONDS = 3600.0


def sync(
    context: typer.Context,
    sweep: Sweep,
    patience: Annotated[
        float, typer.Option("--patience", help="Seconds without progress before giving up.", min=0)
    ] = 60.0,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Deliver a sweep's undelivered records to MLflow."""
    from sweeps.cli.display.sweep import print_delivery
    from sweeps.tracking.background import store_of
    from sweeps.tracking.crash_recovery import open_for_delivery
    from sweeps.tracking.mlflow import shipper
    from sweeps.tracking.mlflow.uri import check_tracker
    from sweeps.tracking.results import read_result

    folder = locate.find_sweep(sweep, address)
    if isinstance(folder, locate.Elsewhere):
        remote.run_there(context, folder, REMOTE_TIMEOUT_SECONDS + patience)
    with open_for_delivery(folder) as journal:
        uri = store_of(journal)
        check_tracker(uri)
        delivery = shipper.sync(journal, uri, folder.path, patience)
        result = read_result(journal, folder)
    plain = {"sweep": result.sweep, "undelivered": delivery.n_undelivered, "refused": delivery.n_refused}
    print_result(plain | {"error": delivery.error}, as_json, lambda: print_delivery(result, delivery.error))
    raise typer.Exit(1 if delivery.n_undelivered or delivery.n_refused else 0)


def ui(
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow UI for the store at MLFLOW_TRACKING_URI, and print its address."""
    from sweeps.tracking.mlflow.ui import newest_experiment, serve
    from sweeps.tracking.mlflow.uri import experiment_link, tracking_uri

    uri = tracking_uri()

    def announce(address: str) -> None:
        """Print the page of the newest sweep in this store; the list of experiments if there is none."""
        newest = newest_experiment(uri)
        page = experiment_link(address, newest) if newest else f"{address}/#/experiments?workflowType=machine_learning"
        typer.echo(f"MLflow UI: {page}  (stop with Ctrl-C)")

    raise typer.Exit(serve(uri, port, announce))
