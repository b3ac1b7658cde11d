"""Where a sweep lies: on this machine, on a cluster, or in MLflow alone."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sweeps.cli.options import log_line, log_newest, print_result

T = TypeVar("T")
SECONDS_BETWEEN_LOOKS_ELSEWHERE = 2.0

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeps.cluster.jobs.submissions import Client
    from sweeps.cluster.jobs.submitted_sweep import SubmittedSweep
    from sweeps.errors import UnknownSweep
    from sweeps.storage.layout import SweepFolder
    from sweeps.tracking.mlflow.run_lookup import TrackedSweep
    from sweeps.tracking.trial_lookup import NamedRun


@dataclass(frozen=True)
class Elsewhere:
    """A sweep or run that is not on this machine, by the name and the `--address` that the user typed."""

    name: str
    address: str | None
    # Why it is not here; None if this machine was not searched.
    unknown: "UnknownSweep | None" = None

    def connect(self) -> "Client":
        """Connect to the cluster that may have it, and print that the cluster is asked.

        Raises UnknownSweep if no cluster is named, ClusterError if it does not answer.
        """
        from sweeps.cluster.jobs.client import api_server, connect

        if self.unknown is not None and api_server(self.address) is None:
            raise self.unknown
        client = connect(self.address)
        log_line("asking the cluster" if self.address else f"{self.name} not found locally; asking the cluster")
        return client


def find_sweep(sweep: str, address: str | None, *, newest: bool = True) -> "SweepFolder | Elsewhere":
    """Return a sweep's folder on this machine; Elsewhere if an address is typed or only others can know the sweep.

    With `newest`, the sweep may be named by `latest` or its name, and the id of the sweep that was meant is printed.
    Raises UnknownSweep if neither a cluster nor an MLflow server is named that could know it.
    """
    from sweeps.cluster.jobs.client import api_server
    from sweeps.errors import UnknownSweep
    from sweeps.storage.layout import find

    if address is not None:
        return Elsewhere(sweep, address)
    try:
        folder = find(sweep, newest=newest)
    except UnknownSweep as unknown:
        if api_server(None) is None and not (_tracking_uri() or "").startswith("http"):
            raise
        return Elsewhere(sweep, None, unknown)
    log_newest(sweep, folder.id)
    return folder


def find_run(run: str, address: str | None) -> "NamedRun | Elsewhere":
    """Return the sweep or trial on this machine that `run` names; Elsewhere if only a cluster can have it.

    Raises UnknownSweep or UnknownTrial if no cluster is named.
    """
    from sweeps.cluster.jobs.client import api_server
    from sweeps.errors import UnknownSweep, UnknownTrial
    from sweeps.tracking.trial_lookup import find_run

    if address is not None:
        return Elsewhere(run, address)
    try:
        named = find_run(run)
    except (UnknownSweep, UnknownTrial):
        if api_server(None) is None:
            raise
        return Elsewhere(run, None)
    log_newest(run.partition("/")[0], named.folder.id)
    return named


def named_cluster(model: str, address: str | None) -> Elsewhere | None:
    """Return the cluster whose registry and log of promotions a command means; None if no cluster is named."""
    from sweeps.cluster.jobs.client import api_server

    server = api_server(address)
    return None if server is None else Elsewhere(model, server)


def list_elsewhere(address: str | None) -> "tuple[list[SubmittedSweep], list[TrackedSweep], list[str]]":
    """Return the sweeps on the cluster, those in MLflow, and a line for each of the two that does not answer.

    Without a cluster, MLflow is asked only if it is a server: a local file knows no more than SWEEPS_HOME.
    """
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import all_submitted_with_reasons
    from sweeps.tracking.mlflow.run_lookup import list_tracked

    issues: list[str] = []
    server, uri = api_server(address), _tracking_uri()
    if server is None and not (uri or "").startswith("http"):
        return [], [], []
    submitted = (server and _ask(lambda: all_submitted_with_reasons(connect(address)), issues)) or []
    tracked = (uri and _ask(lambda: list_tracked(uri), issues)) or []
    return submitted, tracked, issues


def print_status_elsewhere(sweep: Elsewhere, as_json: bool) -> None:
    """Print the state of a sweep by its job and by its runs in MLflow, or by the one of the two that answers."""
    from sweeps.cli.display.listing import print_elsewhere

    submitted, tracked, issues = _look_elsewhere(sweep)
    log_newest(sweep.name, tracked.sweep if tracked else submitted.sweep if submitted else sweep.name)
    plain = (
        submitted.to_dict() if submitted else {"sweep": tracked and tracked.sweep, "state": tracked and tracked.state}
    )
    plain |= {"tracked": tracked and tracked.to_dict(), "errors": issues}
    found = [submitted] if submitted else [], [tracked] if tracked else []
    print_result(plain, as_json, lambda: print_elsewhere(*found, with_submitter=True))
    for issue in issues:
        log_line(issue)


def watch_elsewhere(sweep: Elsewhere) -> None:
    """Print the state of a sweep that is not on this machine whenever it changes, until the sweep has ended."""
    from sweeps.cli.display.listing import print_elsewhere

    shown, reported, has_ended = None, None, False
    while not has_ended:
        if shown is not None:
            time.sleep(SECONDS_BETWEEN_LOOKS_ELSEWHERE)
        submitted, tracked, issues = _look_elsewhere(sweep, is_known=shown is not None)
        state = submitted and submitted.to_dict(), tracked and tracked.to_dict()
        if state != shown and any(state):
            print_elsewhere([submitted] if submitted else [], [tracked] if tracked else [], with_submitter=not shown)
            shown = state
        if issues != reported:
            for issue in issues:
                log_line(issue)
            reported = issues
        has_ended = submitted.has_ended if submitted else tracked is not None and tracked.state != "RUNNING"


def _look_elsewhere(
    sweep: Elsewhere, *, is_known: bool = False
) -> "tuple[SubmittedSweep | None, TrackedSweep | None, list[str]]":
    """Return a sweep by its job and by its runs in MLflow, and a line for each of the two that does not answer.

    Raises UnknownSweep if neither has it, unless an earlier answer showed that there is one.
    """
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.submissions import find_submitted
    from sweeps.errors import UnknownSweep
    from sweeps.tracking.mlflow.run_lookup import find_tracked

    issues: list[str] = []
    server, uri = api_server(sweep.address), _tracking_uri()
    submitted = _ask(lambda: find_submitted(connect(sweep.address), sweep.name), issues) if server else None
    sweep_id = submitted.sweep if submitted else sweep.name
    tracked = _ask(lambda: find_tracked(uri, sweep_id), issues) if uri else None
    if submitted is None and tracked is None and not is_known:
        raise UnknownSweep(issues or f"no sweep {sweep.name!r}: not found locally, on the cluster or in MLflow")
    return submitted, tracked, issues


def _ask(ask: "Callable[[], T]", issues: list[str]) -> "T | None":
    """Return the answer of the cluster or MLflow; None, and why in `issues`, if there is none."""
    from sweeps.errors import InputError

    try:
        return ask()
    except InputError as error:
        issues.extend(error.issues)
        return None


def _tracking_uri() -> str | None:
    from sweeps.tracking.mlflow.uri import tracking_uri

    return tracking_uri() if os.environ.get("MLFLOW_TRACKING_URI") else None
