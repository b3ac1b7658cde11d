"""Commands about MLflow's copy of a sweep: deliver to it, look at it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.commands import locate, remote
from sweeps.cli.options import Address, Json, Sweep, print_result
from sweeps.cli.printable import echo

if TYPE_CHECKING:
    from sweeps.tracking.results import SweepResult

# How long a sweep of thousands of trials takes to deliver from the cluster to a busy MLflow server.
REMOTE_TIMEOUT_SECONDS = 3600.0


def sync(
    context: typer.Context,
    sweep: Sweep,
    patience: Annotated[
        float, typer.Option("--patience", help="Seconds without progress before giving up.", min=0, max=1e9)
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
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]", help="The sweep whose runs to show; by default the newest.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 5000,
) -> None:
    """Open the MLflow UI of a sweep's tracking store, and print the sweep's page.

    The printed link contains a token, new for each start. Without it, nobody on this machine can open the UI.
    The store is the one that has the sweep's runs. Without SWEEP it is MLFLOW_TRACKING_URI, a `mlflow.db` in this
    folder, or the store of the newest sweep. A store that is a server needs no other: its page is printed.
    """
    from sweeps.tracking.mlflow.ui import serve, store_here, store_of_sweep
    from sweeps.tracking.mlflow.uri import without_credentials
    from sweeps.tracking.results import load_result

    if sweep is None:
        uri, shown = store_here()
    else:
        folder = locate.find_sweep(sweep, None)
        if isinstance(folder, locate.Elsewhere):
            return _print_tracked(folder)
        shown = load_result(folder)
        uri = store_of_sweep(shown)
    if uri.startswith("http"):
        return _print_pages(without_credentials(uri), shown)
    raise typer.Exit(serve(uri, port, lambda address, token: _print_pages(address, shown, token)))


def _print_pages(address: str, shown: "SweepResult | None", token: str | None = None) -> None:
    """Print the pages of a sweep; the list of experiments if there is none. A server started for them has a `token`."""
    from sweeps.tracking.mlflow.ui import with_token

    experiments = f"{address.rstrip('/')}/#/experiments?workflowType=machine_learning"
    links = [experiments] if shown is None else shown.links(address)
    runs, *charts = links if token is None else [with_token(link, token) for link in links]
    echo(f"MLflow UI: {runs}" + ("" if token is None else "  (stop with Ctrl-C)"))
    for link in charts:
        echo(f"charts: {link}")


def _print_tracked(sweep: locate.Elsewhere) -> None:
    """Print the page of a sweep that only the MLflow server knows."""
    from sweeps.errors import UnknownSweep
    from sweeps.tracking.mlflow.run_lookup import find_tracked
    from sweeps.tracking.mlflow.uri import tracking_uri

    uri = tracking_uri()
    tracked = find_tracked(uri, sweep.name) if uri.startswith("http") else None
    if tracked is None:
        raise sweep.unknown or UnknownSweep(f"no sweep {sweep.name!r}: not found locally or in MLflow")
    echo(f"MLflow UI: {tracked.link}")
