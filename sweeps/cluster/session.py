"""Connect to Ray: to the cluster at RAY_ADDRESS, or to a local one started for the sweep."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sweeps.cluster import discovery
from sweeps.cluster.authentication import PROBE_TIMEOUT_SECONDS, authenticate
from sweeps.cluster.local_ray import local_ray
from sweeps.cluster.plugin_shipment import search_folders, staged
from sweeps.config.plugin_source import PluginSource
from sweeps.errors import ClusterError

# Ray reads these when it is imported or started, on the driver and on each worker.
DRIVER_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # A sweep does not resume from Tune's own snapshot of the experiment: write it seldom.
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
}
WORKER_ENVIRONMENT = {
    # A stopped trial has this long to leave its thread before Tune takes its actor for stuck. Tune's default of 2 s is
    # too short on a busy machine, and the next trial on that actor would fail.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # A worker that loses the network closes its connection to the driver after this long. With Ray's default of 20 s
    # the driver, which does not notice, waits 5 min for the report. With more, the report arrives when the network is
    # back; if it stays away, Ray declares the host dead within about a minute, and the trial restarts elsewhere.
    "RAY_grpc_keepalive_timeout_ms": "600000",
    # Tune would set this for each actor, and Lightning asks for it.
    "PL_DISABLE_FORK": "1",
}


@dataclass(frozen=True)
class Node:
    """The resources of one host."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """The resources of each host of a cluster; a trial runs on one host.

    `address` is that of its head; None if this process has started Ray. `note` says why it is this one, if there was a
    choice.
    """

    nodes: tuple[Node, ...]
    address: str | None = None
    note: str = ""

    @property
    def gpus(self) -> float:
        """Return the number of GPUs of all hosts."""
        return sum(node.gpus for node in self.nodes)

    def __str__(self) -> str:
        """Return which cluster this is and what it has, in one line."""
        parts = [] if self.address is None else [_count(len(self.nodes), "node")]
        parts.append(_count(sum(node.cpus for node in self.nodes), "CPU"))
        parts += [_count(self.gpus, "GPU")] if self.gpus else []
        where = "Ray started on this machine" if self.address is None else f"Ray cluster at {self.address}"
        return f"{where}: {', '.join(parts)}" + (f" ({self.note})" if self.note else "")


def prepare(address: str | None) -> None:
    """Check `address` and import Ray, so that connecting is quick."""
    if address and address != "local":
        check_address(address)
    for key, value in DRIVER_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import ray  # noqa: F401

    logging.getLogger("ray").setLevel(logging.ERROR)


@contextmanager
def connect(address: str | None, plugins: Sequence[PluginSource] = ()) -> Iterator[Cluster]:
    """Connect to the cluster at `address`, or start a local one for as long as the context lasts.

    Workers of a new connection can import `plugins`; an existing one is used as it is, and left open. Raises
    ClusterError if the address does not answer.
    """
    prepare(address)
    import ray

    if ray.is_initialized():
        yield _resources(_head())
        return
    is_local, note = is_local_address(address), ""
    with ExitStack() as session:
        if is_local:
            _start_local(session, plugins)
        else:
            note = discovery.explain_auto() if address == "auto" else ""
            _connect(str(address), plugins)
            session.callback(ray.shutdown)
        _let_tune_use_idle_workers()  # imports Tune while Ray starts workers
        yield _resources(None if is_local else _head(), note)


def is_local_address(address: str | None) -> bool:
    """Return whether a sweep starts a Ray of its own on this machine."""
    return address in (None, "", "local")


def check_address(address: str) -> None:
    """Raise ClusterError within seconds if a cluster's address is wrong; Ray itself takes minutes."""
    if "://" in address:
        raise ClusterError(
            f"RAY_ADDRESS must be HOST:PORT of a cluster's head, 'auto' or 'local', not {address!r}: with the "
            "http:// address of its API server use `sweeps submit`; Ray Client would end the sweep on disconnect"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(
            f"RAY_ADDRESS must be HOST:PORT of a cluster's head, 'auto' or 'local', not {address!r}: correct it"
        )
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_TIMEOUT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"the Ray cluster at {address} does not answer ({error}): start it with `ray start --head`, "
            "or unset RAY_ADDRESS to run on this machine"
        ) from error
    authenticate(address)


def _start_local(session: ExitStack, plugins: Sequence[PluginSource]) -> None:
    for key, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        session.enter_context(local_ray(search_folders(plugins)))
    except Exception as error:  # Ray raises a plain Exception if its processes start too slowly
        raise ClusterError(f"Ray must start on this machine; it failed: {_first_line(error)}") from error


def _connect(address: str, plugins: Sequence[PluginSource]) -> None:
    import ray

    # The job of a submitted sweep has the code of its plug-ins in its working folder, and Ray its own variable there.
    is_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    try:
        with staged([] if is_job else plugins) as modules:
            environment = {"env_vars": WORKER_ENVIRONMENT} | ({"py_modules": modules} if modules else {})
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the Ray cluster at {address} must accept this sweep; it answered: {_first_line(error)}"
        ) from error


def _let_tune_use_idle_workers() -> None:
    """Clear the environment that Tune requests for its actors, which no idle worker has."""
    from ray.tune.execution import class_cache

    # WORKER_ENVIRONMENT sets the same variable.
    if hasattr(class_cache, "DEFAULT_ENV_VARS"):
        class_cache.DEFAULT_ENV_VARS.clear()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _head() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def _resources(address: str | None, note: str = "") -> Cluster:
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return Cluster(tuple(Node(found.get("CPU", 0.0), found.get("GPU", 0.0)) for found in alive), address, note)
