"""Submit a sweep to a Ray cluster from Python, and follow it."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.api.runs import sweep_config

if TYPE_CHECKING:
    from sweeps.api.sweep_status import SweepStatus
    from sweeps.config import SweepConfig

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Submitted:
    """A sweep that was submitted as a Ray job: its id, the job, and the API server of the cluster.

    `status`, `stop` and the other functions accept it in place of the sweep's id.
    """

    sweep: str
    job: str
    n_trials: int
    address: str = field(repr=False)

    def __str__(self) -> str:
        return self.sweep

    def status(self) -> "SweepStatus":
        """Return the state of the sweep by its newest job, with the newest line of its log."""
        from sweeps.api.looks import status

        return status(self)

    def stop(self) -> "SweepStatus":
        """Stop the sweep cleanly, and return once it has ended."""
        from sweeps.api.runs import stop

        return stop(self)

    def log(self) -> str:
        """Return the log of the sweep's newest job so far."""
        from sweeps.api.places import submitted_elsewhere
        from sweeps.cluster.jobs.submissions import logs

        elsewhere = submitted_elsewhere(self, self.address)
        assert elsewhere is not None, "with an address only the cluster is asked"
        return "".join(logs(*elsewhere, follow=False))

    def wait(self, timeout_seconds: float | None = None) -> "SweepStatus":
        """Wait until no job of the sweep is pending or running; TimeoutError after `timeout_seconds`."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not (now := self.status()).has_ended:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.sweep} has not ended within {timeout_seconds:g} s: {now.state}")
            time.sleep(_POLL_SECONDS)
        return now


def submit(
    config: "SweepConfig | str | Path | Mapping[str, Any]",
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    address: str | None = None,
    offline: bool = False,
) -> Submitted:
    """Submit a sweep to a Ray cluster as a detached job, with the code and arrays that it needs; return within seconds.

    Args:
        config: As for `run`.
        overrides: As for `run`.
        address: API server of the cluster, http://HOST:8265; by default RAY_API_SERVER_ADDRESS.
        offline: Start even if the cluster's MLflow is unreachable.

    Raises:
        ConfigError: The sweep is not valid.
        DataError: An array to send is damaged, too large, or does not fit the sweep.
        ClusterError: There is no cluster at the address, or it needs another token or version of Ray.

    Example:
        >>> submitted = sweeps.submit("quickstart", address="http://head:8265")
        >>> submitted.sweep.startswith("quickstart-"), submitted.n_trials
        (True, 16)

    """
    from sweeps.cluster.jobs import submissions
    from sweeps.cluster.jobs.client import api_server, connect
    from sweeps.cluster.jobs.runtime_env import check_arrays, job_files
    from sweeps.storage.sweep_ids import new_id

    sweep = sweep_config(config, overrides)
    for line in check_arrays(sweep):
        logging.getLogger(__name__).warning("%s", line)
    client = connect(address)
    sweep_id = new_id(sweep.name)
    command = ["run", "sweep.yaml", "--id", sweep_id, *(["--offline"] if offline else [])]
    with job_files(sweep) as files:
        job = submissions.submit(client, sweep_id, sweep.n_trials, command, files)
    server = api_server(address)
    assert server is not None, "the client has connected to it"
    return Submitted(sweep_id, job, sweep.n_trials, server)
