"""Commands for sweeps that run as Ray jobs: submit one, read its log."""

import json

import typer

from sweeps.cli.commands import remote
from sweeps.cli.options import Address, Json, Offline, Overrides, Recipe, Sweep, log_line, log_newest
from sweeps.cli.printable import echo, printable_log
from sweeps.cli.typed_command import TypedCommand


def submit(
    context: typer.Context,
    recipe: Recipe,
    overrides: Overrides = None,
    offline: Offline = False,  # noqa: ARG001 (the job has it as it was typed)
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Submit a sweep to a cluster as a detached Ray job, and print its id."""
    from sweeps.cluster.jobs.client import connect
    from sweeps.cluster.jobs.runtime_env import check_arrays, job_files
    from sweeps.config import load
    from sweeps.storage.sweep_ids import new_id

    config = load(recipe, overrides or [])
    for line in check_arrays(config):
        log_line(line)
    client = connect(address)
    sweep = new_id(config.name)
    # The submitted file holds the overrides.
    command = TypedCommand.of(context).renamed("run").without("--set").with_argument("sweep.yaml")
    with job_files(config) as files:
        remote.submit_job(client, sweep, config.n_trials, command.with_option("--id", sweep), files, as_json)


def logs(
    sweep: Sweep,
    follow: bool = typer.Option(False, "-f", "--follow", help="Follow until the sweep ends."),
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Print the log of a submitted sweep's newest job."""
    from sweeps.cluster.jobs import submissions
    from sweeps.cluster.jobs.client import connect

    client = connect(address)
    submitted = submissions.find_submitted(client, sweep)
    log_newest(sweep, submitted.sweep)
    pieces = submissions.logs(client, submitted, follow=follow)
    if as_json:
        typer.echo(json.dumps({"sweep": submitted.sweep, "job": submitted.job, "log": "".join(pieces)}))
        return
    for piece in pieces:
        echo(printable_log(piece), newline=False)
