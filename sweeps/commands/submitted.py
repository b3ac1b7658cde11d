"""Commands for sweeps on a cluster that another process than this one runs."""

import json
import os
import time
from typing import TYPE_CHECKING, TypeVar

import typer

from sweeps.commands.terminal import Address, Json, Overrides, Recipe, Sweep, print_result, tell

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeps.cluster.jobs import Client, SubmittedSweep
    from sweeps.cluster.shipment import Shipment
    from sweeps.tracking.lookup import TrackedSweep

STARTED = time.time()


def submit(recipe: Recipe, overrides: Overrides = None, address: Address = None, as_json: Json = False) -> None:
    """Run a sweep on a cluster as a Ray job; print its id and return."""
    from sweeps.cluster.api_server import connect
    from sweeps.cluster.shipment import packed
    from sweeps.config import load
    from sweeps.folder import new_id

    config = load(recipe, overrides or [])
    client = connect(address)
    sweep = new_id(config.name)
    with packed(config) as cargo:
        _submit(client, sweep, config.n_trials, ["run", "sweep.yaml", "--id", sweep], cargo, as_json)


def logs(
    sweep: Sweep,
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the sweep ends."),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Print what the newest job of a submitted sweep has logged."""
    from sweeps.cluster import jobs
    from sweeps.cluster.api_server import connect

    client = connect(address)
    submitted = jobs.find_submitted(client, sweep)
    pieces = jobs.logs(client, submitted, follow=follow)
    if as_json:
        typer.echo(json.dumps({"sweep": submitted.sweep, "job": submitted.job, "log": "".join(pieces)}))
        return
    for piece in pieces:
        typer.echo(piece, nl=False)


def is_here(sweep: str, address: str | None) -> bool:
    """Whether a command means a sweep of this machine: not where a cluster is named, or knows what is unknown here.

    Raises UnknownSweep where nothing else could know it.
    """
    from sweeps.cluster.api_server import api_server
    from sweeps.errors import UnknownSweep
    from sweeps.folder import find

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
    from sweeps.cluster.api_server import api_server, connect
    from sweeps.folder import find

    if address is None and api_server(None) is None:
        find(sweep)
        return None
    return None if is_here(sweep, address) else connect(address)


def list_elsewhere(address: str | None) -> "tuple[list[SubmittedSweep], list[TrackedSweep], list[str]]":
    """The sweeps on the cluster, where one is named, and in its MLflow; and a line for each that cannot be asked."""
    from sweeps.cluster.api_server import api_server, connect
    from sweeps.cluster.jobs import all_submitted
    from sweeps.tracking.lookup import list_tracked

    if api_server(address) is None:
        return [], [], []
    faults: list[str] = []
    there = _asked(lambda: all_submitted(connect(address)), faults) or []
    uri = _tracking_uri()
    tracked = (uri and _asked(lambda: list_tracked(uri), faults)) or []
    return there, tracked, faults


def status_elsewhere(sweep: str, address: str | None, as_json: bool) -> None:
    """Tell how a sweep stands that is not here: by its job, and by its runs in MLflow, or by the one that answers."""
    from sweeps import display
    from sweeps.cluster.api_server import api_server, connect
    from sweeps.cluster.jobs import find_submitted
    from sweeps.errors import UnknownSweep
    from sweeps.tracking.lookup import find_tracked

    faults: list[str] = []
    server, uri = api_server(address), _tracking_uri()
    there = _asked(lambda: find_submitted(connect(address), sweep), faults) if server else None
    tracked = _asked(lambda: find_tracked(uri, there.sweep if there else sweep), faults) if uri else None
    if there is None and tracked is None:
        raise UnknownSweep(faults or f"no sweep {sweep!r} here, on a cluster that is named, or in MLflow")
    plain = there.to_dict() if there else {"sweep": sweep, "state": tracked and tracked.state}
    plain |= {"tracked": tracked and tracked.to_dict(), "errors": faults}
    print_result(plain, as_json, lambda: display.elsewhere([there] if there else [], [tracked] if tracked else []))
    for fault in faults:
        tell(fault)


def _asked(ask: "Callable[[], T]", faults: list[str]) -> "T | None":
    """What the cluster or MLflow answers; a line added to `faults` where it does not."""
    from sweeps.errors import InputError

    try:
        return ask()
    except InputError as error:
        faults.extend(error.faults)
        return None


def _tracking_uri() -> str | None:
    from sweeps.tracking.address import tracking_uri

    return tracking_uri() if os.environ.get("MLFLOW_TRACKING_URI") else None


def stop_there(client: "Client", sweep: str, as_json: bool) -> None:
    """End a submitted sweep."""
    from sweeps.cluster.jobs import find_submitted, stop

    _print_submitted(stop(client, find_submitted(client, sweep)), as_json)


def continue_there(client: "Client", sweep: str, n_more: int, as_json: bool) -> None:
    """Submit what continues a sweep, under the sweep's id and the next number."""
    from sweeps.cluster.jobs import find_submitted
    from sweeps.cluster.shipment import packed
    from sweeps.errors import SweepHeld

    submitted = find_submitted(client, sweep)
    if not submitted.has_ended:
        raise SweepHeld(f"{submitted.sweep} runs already, as the job {submitted.job}: `sweeps stop` ends it")
    arguments = ["extend", submitted.sweep, "--trials", str(n_more)] if n_more else ["resume", submitted.sweep]
    with packed() as cargo:
        _submit(client, submitted.sweep, (submitted.n_trials or 0) + n_more, arguments, cargo, as_json)


def _submit(
    client: "Client", sweep: str, n_trials: int, arguments: list[str], cargo: "Shipment", as_json: bool
) -> None:
    from sweeps.cluster.jobs import submit as submit_job

    job = submit_job(client, sweep, n_trials, arguments, cargo)
    plain = {"sweep": sweep, "job": job, "trials": n_trials, "seconds": time.time() - STARTED}
    hint = (
        f"{sweep} is submitted as the job {job}: `sweeps status {sweep}` and `sweeps logs -f {sweep}` tell how it goes"
    )
    print_result(plain, as_json, lambda: typer.echo(hint))


def _print_submitted(submitted: "SubmittedSweep", as_json: bool) -> None:
    from sweeps import display

    print_result(submitted.to_dict(), as_json, lambda: display.elsewhere([submitted], []))
