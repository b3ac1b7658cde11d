"""Commands for sweeps that run as Ray jobs: submit one, read its log."""

import json
from typing import TYPE_CHECKING

import typer

from sweeps.cli.commands import remote
from sweeps.cli.options import Address, Json, Offline, Overrides, Recipe, Sweep, log_line, log_newest
from sweeps.cli.printable import echo, printable_log
from sweeps.cli.typed_command import TypedCommand

if TYPE_CHECKING:
    from sweeps.config import SweepConfig


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
    from sweeps.cluster.jobs.runtime_env import job_files
    from sweeps.config import load
    from sweeps.storage.sweep_ids import new_id

    config = load(recipe, overrides or [])
    _check_arrays(config)
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


def _check_arrays(config: "SweepConfig") -> None:
    """Check the arrays that will be sent with the sweep; print a line for each file that will not.

    Raises DataError if an array is damaged or does not fit the sweep, or cannot give an objective or a gate.
    """
    from sweeps.cluster.jobs.runtime_env import array_files

    local, missing = array_files(config)
    for path in missing:
        why = "a folder, which is not sent" if path.is_dir() else "not on this machine"
        log_line(f"{path} is {why}: the cluster must have it at that path")
    if local and not missing:
        from sweeps.trial.dataset import check_data

        check_data(config)
