"""What may name a sweep or a trial in Python: its id, name or `latest`, or what another function returned for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from sweeps.storage.layout import SweepFolder
    from sweeps.tracking.trial_lookup import NamedRun

T = TypeVar("T")


class OfSweep(Protocol):
    """What belongs to a sweep: a result, a status, a submitted sweep, a trial."""

    @property
    def sweep(self) -> str:
        """Return the sweep's id."""


def sweep_name(sweep: str | OfSweep) -> str:
    """Return the name or id of a sweep; InputError if `sweep` is neither text nor what belongs to a sweep."""
    from sweeps.errors import InputError

    name = sweep if isinstance(sweep, str) else getattr(sweep, "sweep", None)
    if not isinstance(name, str):
        raise InputError(
            f"a sweep must be its id or name, `latest`, or what another function returned for it, not {sweep!r:.100}"
        )
    return name


def run_name(run: str | OfSweep) -> str:
    """Return the name of a sweep, or SWEEP/TRIAL for what belongs to a trial."""
    trial = getattr(run, "trial", None)
    return f"{sweep_name(run)}/{trial}" if isinstance(trial, str) else sweep_name(run)


def find_here(sweep: str | OfSweep, command: str) -> "SweepFolder":
    """Return the folder of a sweep on this machine.

    Raises UnknownSweep, with the `command` that works on a cluster if one is named.
    """
    from sweeps.storage.layout import find

    name = sweep_name(sweep)
    return _or_hint(lambda: find(name), sweep, f"sweeps {command} {name}")


def find_run_here(run: str | OfSweep, command: str) -> "NamedRun":
    """Return the sweep, and the trial if any, that `run` names on this machine; UnknownSweep or UnknownTrial."""
    from sweeps.tracking.trial_lookup import find_run

    name = run_name(run)
    return _or_hint(lambda: find_run(name), run, f"sweeps {command} {name}")


def _or_hint(find: Callable[[], T], named: str | OfSweep, command: str) -> T:
    from sweeps.cluster.jobs.client import api_server
    from sweeps.errors import UnknownSweep, UnknownTrial

    try:
        return find()
    except (UnknownSweep, UnknownTrial) as error:
        server = api_server(getattr(named, "address", None))
        if server is None:
            raise
        hint = (
            f"if it lies on the cluster at {server}, set SWEEPS_HOME to the folder that the cluster stores its sweeps "
            f"in, or use the command line, which asks the cluster: `{command} --address {server}`"
        )
        raise type(error)(f"{error} {hint[:1].upper()}{hint[1:]}") from None
