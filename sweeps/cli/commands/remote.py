"""What commands do about a sweep on a cluster: run there as they were typed, or submit and stop its jobs."""

import os
import time
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from sweeps.cli.options import log_line, log_newest, print_result
from sweeps.cli.printable import echo
from sweeps.cli.typed_command import TypedCommand

if TYPE_CHECKING:
    from sweeps.cli.commands.locate import Elsewhere
    from sweeps.cluster.jobs.runtime_env import JobFiles
    from sweeps.cluster.jobs.submissions import Client
    from sweeps.cluster.jobs.submitted_sweep import SubmittedSweep
    from sweeps.config.plugin_source import NamedPlugin

STARTED = time.time()
_SEND_CHANGED = "SWEEPS_SEND_CHANGED_PLUGINS"


def run_there(
    context: typer.Context, sweep: "Elsewhere", timeout_seconds: float | None = None, **environment: str
) -> NoReturn:
    """Run the command on the cluster as it was typed, print what it prints there, and exit with its status.

    Everybody who may ask the cluster can read the variables of its `environment`.
    """
    from sweeps.cluster.jobs.remote_cli import TIMEOUT_SECONDS, run_remotely
    from sweeps.cluster.jobs.runtime_env import job_files

    client = sweep.connect()
    typed = TypedCommand.of(context)
    with job_files(plugins=_plugins_here(client, sweep.name.partition("/")[0])) as files:
        answer = run_remotely(client, typed.to_list(), files, timeout_seconds or TIMEOUT_SECONDS, **environment)
    echo(answer.output, newline=False)
    echo(answer.errors, newline=False, to_stderr=True)
    raise typer.Exit(answer.status)


def resume_there(context: typer.Context, sweep: "Elsewhere", n_more: int, as_json: bool) -> None:
    """Submit a job that resumes a sweep, or extends it by `n_more` trials, under the sweep's id and the next number."""
    from sweeps.cluster.jobs.runtime_env import job_files
    from sweeps.errors import SweepDone

    client = sweep.connect()
    with job_files(plugins=_plugins_here(client, sweep.name)) as files:
        sweep_id, state, n_trials = _find_ended(client, sweep.name, files)
        log_newest(sweep.name, sweep_id)
        if state == "FINISHED" and not n_more:
            raise SweepDone(f"{sweep_id} has finished: add trials with `sweeps extend {sweep_id} --trials N`")
        submit_job(
            client, sweep_id, n_trials + n_more, TypedCommand.of(context).with_argument(sweep_id), files, as_json
        )


def stop_there(sweep: "Elsewhere", as_json: bool) -> None:
    """Stop the job of a submitted sweep, and print how it stands."""
    from sweeps.cli.display.listing import print_elsewhere
    from sweeps.cluster.jobs.submissions import find_submitted, stop

    client = sweep.connect()
    submitted = find_submitted(client, sweep.name)
    log_newest(sweep.name, submitted.sweep)
    stopped = stop(client, submitted)
    print_result(stopped.to_dict(), as_json, lambda: print_elsewhere([stopped], []))


def delete_there(context: typer.Context, sweep: "Elsewhere") -> dict[str, Any]:
    """Delete a sweep on the cluster, then its jobs from the cluster's list; return what `delete --json` prints there.

    Raises SweepLocked if one of its jobs is running.
    """
    from sweeps.cluster.jobs.remote_cli import run_remotely_json
    from sweeps.cluster.jobs.runtime_env import job_files
    from sweeps.cluster.jobs.submissions import forget

    client = sweep.connect()
    command = TypedCommand.of(context).with_option("--json")
    if (sweep_id := _find_to_delete(client, sweep.name)) is not None:
        # A job that failed its checks has created no folder.
        command = command.with_argument(sweep_id).with_option("--missing-ok")
    with job_files() as files:
        plain = run_remotely_json(client, command.to_list(), files)
    forget(client, plain["sweep"])
    return plain


def forget_jobs(sweep: str) -> None:
    """Remove the jobs of a sweep that was deleted on this machine from the list of the cluster, if one is named."""
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import forget
    from sweeps.errors import ClusterError

    if api_server(None) is None:
        return
    try:
        forget(connect(None), sweep)
    except ClusterError as error:
        log_line(f"jobs of {sweep} may remain in the cluster's list: {error}")


def submit_job(
    client: "Client", sweep: str, n_trials: int, command: TypedCommand, files: "JobFiles", as_json: bool
) -> None:
    """Submit a command that runs a sweep as a job, and print the job's id."""
    from sweeps.cluster.jobs.submissions import submit

    job = submit(client, sweep, n_trials, command.to_list(), files)
    plain = {"sweep": sweep, "job": job, "trials": n_trials, "seconds": time.time() - STARTED}
    text = f"{sweep} is submitted as job {job}; follow it with `sweeps status {sweep}` and `sweeps logs -f {sweep}`"
    print_result(plain, as_json, lambda: echo(text))


def _plugins_here(client: "Client", sweep: str) -> "list[NamedPlugin]":
    """Return the plug-ins of a submitted sweep that this machine has; print a line for each that is not sent.

    Everybody with access to the cluster can write which plug-ins a sweep has, so code is sent only if its checksum is
    the one that was submitted, or if the user names it: nobody else can ask for a module of this machine. `sweep` may
    be anything that a command takes; what is no sweep of the cluster has no plug-ins.
    """
    from sweeps.cluster.jobs.submissions import all_submitted
    from sweeps.cluster.jobs.submitted_sweep import only_match
    from sweeps.config.plugin_source import plugin_named
    from sweeps.errors import UnknownSweep

    try:
        submitted = only_match(all_submitted(client), sweep)
    except UnknownSweep:
        return []
    named = {role: plugin_named(role, known.get("name", "")) for role, known in submitted.plugins.items()}
    return [plugin for role, plugin in named.items() if _is_sent(plugin, submitted.plugins[role].get("sha256"))]


def _is_sent(plugin: "NamedPlugin", submitted_sha256: str | None) -> bool:
    """Return whether to send a plug-in's code; print a line if it is not what was submitted, or not here."""
    from sweeps.config.plugin_source import find_source
    from sweeps.plugin_import import PluginError

    what = f"the {plugin.role} plug-in {plugin.name}"
    try:
        is_same = find_source(plugin).sha256() == submitted_sha256
    except PluginError as error:
        log_line(f"{what} is not sent, so the cluster must have it installed: {error}")
        return False
    if is_same:
        return True
    if plugin.name in (name.strip() for name in os.environ.get(_SEND_CHANGED, "").split(",")):
        log_line(f"{what} is sent as it is now, and differs from what was submitted")
        return True
    log_line(
        f"{what} is not sent, so the cluster must have it installed: its source here differs from what was submitted; "
        f"restore it, or set {_SEND_CHANGED}={plugin.name} to send it as it is now"
    )
    return False


def _find_ended(client: "Client", sweep: str, files: "JobFiles") -> tuple[str, str, int]:
    """Return the id, the state and the number of trials of a sweep that no job runs.

    Without a job of it, ask for its folder: a cluster whose head failed has lost its list of jobs, not its sweeps.
    """
    from sweeps.cluster.jobs.remote_cli import run_remotely_json
    from sweeps.cluster.jobs.submissions import find_submitted
    from sweeps.errors import SweepLocked, UnknownSweep
    from sweeps.storage.sweep_ids import matches

    try:
        submitted = find_submitted(client, sweep)
    except UnknownSweep as unknown:
        found = run_remotely_json(client, ["list", "--json"], files)["sweeps"]
        ids = matches(sweep, [listed["sweep"] for listed in found])
        if len(ids) != 1:
            raise unknown from None
        (match,) = (listed for listed in found if listed["sweep"] == ids[0])
        if match["state"] == "RUNNING":
            raise SweepLocked(f"{match['sweep']} is running; it runs outside Ray jobs: stop its process") from None
        return match["sweep"], match["state"], match["trials"] + match["to_come"]
    _check_ended(submitted)
    return submitted.sweep, submitted.state, submitted.n_trials or 0


def _find_to_delete(client: "Client", sweep: str) -> str | None:
    """Return the whole id of a sweep that no job runs; None if the cluster lists no job of it."""
    from sweeps.cluster.jobs.submissions import all_submitted
    from sweeps.cluster.jobs.submitted_sweep import matching, only_match

    known = all_submitted(client)
    if not matching(known, sweep, newest=False):
        return None
    submitted = only_match(known, sweep, newest=False)
    _check_ended(submitted)
    return submitted.sweep


def _check_ended(submitted: "SubmittedSweep") -> None:
    from sweeps.errors import SweepLocked

    if not submitted.has_ended:
        raise SweepLocked(
            f"{submitted.sweep} has not ended, its job {submitted.job} is {submitted.state}: "
            f"stop it with `sweeps stop {submitted.sweep}`"
        )
