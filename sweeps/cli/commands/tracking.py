"""Commands for what MLflow has of a sweep."""

from typing import Annotated

import typer

from sweeps.cli.commands import locate, submit
from sweeps.cli.options import Address, Json, Sweep, print_result

# What a sweep of thousands of trials takes, delivered from the cluster by an MLflow that is busy.
SECONDS_THERE = 3600.0


def sync(
    sweep: Sweep,
    patience: Annotated[float, typer.Option("--patience", help="Seconds to try for without progress.", min=0)] = 60.0,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Deliver to MLflow what it has not got of a sweep."""
    from sweeps.cli.display import terminal
    from sweeps.storage.layout import find
    from sweeps.tracking.background import store_of
    from sweeps.tracking.crash_recovery import deliver_sweep, end_sweep_if_lost
    from sweeps.tracking.journal.restore import read_journal
    from sweeps.tracking.mlflow.uri import check_tracker
    from sweeps.tracking.results import load_result

    if client := locate.client_for(sweep, address):
        arguments = ["sync", sweep, "--patience", str(patience)]
        submit.print_relayed(client, arguments, as_json, SECONDS_THERE + patience)
    folder = find(sweep)
    end_sweep_if_lost(folder)
    with read_journal(folder) as journal:
        uri = store_of(journal)
    check_tracker(uri)
    delivery = deliver_sweep(folder, uri, patience)
    result = load_result(folder)
    plain = {"sweep": result.sweep, "undelivered": delivery.n_undelivered, "refused": delivery.n_refused}
    print_result(plain | {"error": delivery.error}, as_json, lambda: terminal.delivered(result, delivery.error))
    raise typer.Exit(1 if delivery.n_undelivered or delivery.n_refused else 0)


def ui(
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve the MLflow UI on the store that MLFLOW_TRACKING_URI names, and print its address."""
    from sweeps.tracking.mlflow.ui import serve
    from sweeps.tracking.mlflow.uri import experiment_link, tracking_uri
    from sweeps.tracking.results import load_all

    def announce(address: str) -> None:
        """Print the page with the runs of the newest sweep in this store; without one, the list of experiments."""
        stored = [result for result in load_all()[0] if result.tracking_uri == tracking_uri()]
        newest = next((result.record.experiment_id for result in stored if result.record.experiment_id), None)
        page = experiment_link(address, newest) if newest else f"{address}/#/experiments?workflowType=machine_learning"
        typer.echo(f"MLflow UI: {page}  (Ctrl-C ends it)")

    raise typer.Exit(serve(tracking_uri(), port, announce))
