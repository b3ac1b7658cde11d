"""Commands for what MLflow has of a sweep."""

from typing import Annotated

import typer

from sweeps.commands import elsewhere, submitted
from sweeps.commands.terminal import Address, Json, Sweep, print_result

# What a sweep of thousands of trials takes, delivered from the cluster by an MLflow that is busy.
SECONDS_THERE = 3600.0


def sync(
    sweep: Sweep,
    patience: Annotated[float, typer.Option("--patience", help="Seconds to try for without progress.", min=0)] = 60.0,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Deliver to MLflow what it has not got of a sweep."""
    from sweeps import display
    from sweeps.folder import find
    from sweeps.launch import store_of
    from sweeps.lost import close_if_lost, deliver
    from sweeps.results import load_result
    from sweeps.tracking.address import check_tracker
    from sweeps.tracking.restoration import read_journal

    if client := elsewhere.client_for(sweep, address):
        arguments = ["sync", sweep, "--patience", str(patience)]
        submitted.print_relayed(client, arguments, as_json, SECONDS_THERE + patience)
    folder = find(sweep)
    close_if_lost(folder)
    with read_journal(folder) as journal:
        uri = store_of(journal)
    check_tracker(uri)
    delivery = deliver(folder, uri, patience)
    result = load_result(folder)
    plain = {"sweep": result.sweep, "undelivered": delivery.n_pending, "refused": delivery.n_refused}
    print_result(plain | {"error": delivery.error}, as_json, lambda: display.delivered(result, delivery.error))
    raise typer.Exit(1 if delivery.n_pending or delivery.n_refused else 0)


def ui(
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow UI on the store that MLFLOW_TRACKING_URI names, and print its address."""
    from sweeps.results import load_all
    from sweeps.tracking.address import experiment_link, tracking_uri
    from sweeps.tracking.ui import serve

    def announce(address: str) -> None:
        """Print the page with the runs of the newest sweep in this store; without one, the list of experiments."""
        stored = [result for result in load_all()[0] if result.tracking_uri == tracking_uri()]
        newest = next((result.record.experiment_id for result in stored if result.record.experiment_id), None)
        page = experiment_link(address, newest) if newest else f"{address}/#/experiments?workflowType=machine_learning"
        typer.echo(f"MLflow UI: {page}  (Ctrl-C ends it)")

    raise typer.Exit(serve(tracking_uri(), port, announce))
