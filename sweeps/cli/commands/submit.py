"""Commands for sweeps on a cluster that another process than this one runs."""

import json
import time
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from sweeps.cli.options import Address, Json, Offline, Overrides, Recipe, Sweep, print_result, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeps.cluster.jobs.runtime_env import Shipment
    from sweeps.cluster.jobs.submissions import Client, SubmittedSweep
    from sweeps.config import SweepConfig

STARTED = time.time()


def submit(
    recipe: Recipe,
    overrides: Overrides = None,
    offline: Offline = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Run a sweep on a cluster as a Ray job; print its id and return."""
    from sweeps.cluster.jobs.client import connect
    from sweeps.cluster.jobs.runtime_env import packed
    from sweeps.config import load
    from sweeps.storage.layout import new_id

    config = load(recipe, overrides or [])
    _check_arrays(config)
    client = connect(address)
    sweep = new_id(config.name)
    arguments = ["run", "sweep.yaml", "--id", sweep, *(["--offline"] if offline else [])]
    with packed(config) as cargo:
        _submit(client, sweep, config.n_trials, arguments, cargo, as_json)


def _check_arrays(config: "SweepConfig") -> None:
    """DataError where arrays that will be sent are damaged, or unfit for the sweep; a line for each that will not."""
    from sweeps.cluster.jobs.runtime_env import array_files

    here, elsewhere = array_files(config)
    for path in elsewhere:
        tell(f"{path} is not on this machine: the cluster has to have it there")
    if here and not elsewhere:
        from sweeps.trial.dataset import load_suitable

        load_suitable(config)


def logs(
    sweep: Sweep,
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the sweep ends."),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Print what the newest job of a submitted sweep has logged."""
    from sweeps.cluster.jobs import submissions
    from sweeps.cluster.jobs.client import connect

    client = connect(address)
    submitted = submissions.find_submitted(client, sweep)
    pieces = submissions.logs(client, submitted, follow=follow)
    if as_json:
        typer.echo(json.dumps({"sweep": submitted.sweep, "job": submitted.job, "log": "".join(pieces)}))
        return
    for piece in pieces:
        typer.echo(piece, nl=False)


def stop_there(client: "Client", sweep: str, as_json: bool) -> None:
    """End a submitted sweep."""
    from sweeps.cluster.jobs.submissions import find_submitted, stop

    _print_submitted(stop(client, find_submitted(client, sweep)), as_json)


def continue_there(client: "Client", sweep: str, n_more: int, as_json: bool) -> None:
    """Submit what continues a sweep, under the sweep's id and the next number."""
    from sweeps.cluster.jobs.runtime_env import packed
    from sweeps.errors import SweepDone

    with packed() as cargo:
        sweep, state, n_trials = _ended_there(client, sweep, cargo)
        if state == "FINISHED" and not n_more:
            raise SweepDone(f"{sweep} has ended: `sweeps extend {sweep} --trials N` gives it more")
        arguments = ["extend", sweep, "--trials", str(n_more)] if n_more else ["resume", sweep]
        _submit(client, sweep, n_trials + n_more, arguments, cargo, as_json)


def _ended_there(client: "Client", sweep: str, cargo: "Shipment") -> tuple[str, str, int]:
    """The id of a sweep that no job runs, its state, and how many trials it is to have; by its folder without a job.

    A head that was lost has lost its list of jobs, and the sweeps are where they were.
    """
    from sweeps.cluster.jobs.remote_cli import relay_json
    from sweeps.cluster.jobs.submissions import find_submitted
    from sweeps.errors import SweepLocked, UnknownSweep

    try:
        submitted = find_submitted(client, sweep)
    except UnknownSweep as unknown:
        found = relay_json(client, ["list"], cargo)["sweeps"]
        matches = [s for s in found if s["sweep"] == sweep] or [s for s in found if s["sweep"].startswith(sweep)]
        if len(matches) != 1:
            raise unknown from None
        (match,) = matches
        if match["state"] == "RUNNING":
            raise SweepLocked(f"{match['sweep']} runs already, though the cluster has no job of it") from None
        return match["sweep"], match["state"], match["trials"] + match["to_come"]
    if not submitted.has_ended:
        raise SweepLocked(f"{submitted.sweep} runs already, as the job {submitted.job}: `sweeps stop` ends it")
    return submitted.sweep, submitted.state, submitted.n_trials or 0


def print_relayed(
    client: "Client", arguments: "Sequence[str]", as_json: bool, seconds: float | None = None, **settings: str
) -> NoReturn:
    """Give a command on the cluster, wait for it so many `seconds`, print what it printed there and end as it ended.

    `settings` are variables of its environment, which whoever may ask the cluster can read.
    """
    from sweeps.cluster.jobs.remote_cli import SECONDS, relay
    from sweeps.cluster.jobs.runtime_env import packed

    with packed() as cargo:
        answer = relay(client, [*arguments, *(["--json"] if as_json else [])], cargo, seconds or SECONDS, **settings)
    typer.echo(answer.output, nl=False)
    typer.echo(answer.errors, nl=False, err=True)
    raise typer.Exit(answer.status)


def delete_there(client: "Client", sweep: str, options: "Sequence[str]") -> dict[str, Any]:
    """Delete a sweep on the cluster, and its jobs from the cluster's list; what `delete` tells of it.

    Raises SweepLocked where a job runs it.
    """
    from sweeps.cluster.jobs.remote_cli import relay_json
    from sweeps.cluster.jobs.runtime_env import packed
    from sweeps.cluster.jobs.submissions import forget

    named = _named_to_delete(client, sweep)
    with packed() as cargo:
        plain = relay_json(client, ["delete", *named, *options], cargo)
    forget(client, plain["sweep"])
    return plain


def forget_jobs(sweep: str) -> None:
    """Take the jobs of a sweep that was here, and is deleted, from the list of the cluster, where one is named."""
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import forget
    from sweeps.errors import ClusterError

    if api_server(None) is None:
        return
    try:
        forget(connect(None), sweep)
    except ClusterError as error:
        tell(f"jobs of {sweep} may stay in the cluster's list: {error}")


def _named_to_delete(client: "Client", sweep: str) -> list[str]:
    """What names a sweep to `delete` on the cluster: its whole id where the cluster lists jobs of it.

    Such a sweep need not have a folder: a job that failed at its checks has made none.
    """
    from sweeps.cluster.jobs.submissions import all_submitted, find_submitted, matching
    from sweeps.errors import SweepLocked

    if not matching(all_submitted(client), sweep):
        return [sweep]
    submitted = find_submitted(client, sweep)
    if not submitted.has_ended:
        raise SweepLocked(f"{submitted.sweep} runs, as the job {submitted.job}: `sweeps stop` ends it")
    return [submitted.sweep, "--missing-ok"]


def _submit(
    client: "Client", sweep: str, n_trials: int, arguments: list[str], cargo: "Shipment", as_json: bool
) -> None:
    from sweeps.cluster.jobs.submissions import submit as submit_job

    job = submit_job(client, sweep, n_trials, arguments, cargo)
    plain = {"sweep": sweep, "job": job, "trials": n_trials, "seconds": time.time() - STARTED}
    hint = (
        f"{sweep} is submitted as the job {job}: `sweeps status {sweep}` and `sweeps logs -f {sweep}` tell how it goes"
    )
    print_result(plain, as_json, lambda: typer.echo(hint))


def _print_submitted(submitted: "SubmittedSweep", as_json: bool) -> None:
    from sweeps.cli.display import terminal

    print_result(submitted.to_dict(), as_json, lambda: terminal.elsewhere([submitted], []))
