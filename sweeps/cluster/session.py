"""A connection to Ray: a local one started for the sweep, or the cluster that RAY_ADDRESS names."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sweeps.cluster import local_ray
from sweeps.cluster.authentication import PROBE_TIMEOUT_SECONDS, authenticate
from sweeps.errors import ClusterError

# Read by Ray when it is imported or started, on the driver and on each worker.
DRIVER_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tune's own snapshot of the experiment is not what a sweep resumes from: write it seldom.
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
}
# A stopped trial has this long to leave its thread before its actor is taken for stuck (Tune's default is 2 s, which a
# busy machine exceeds, failing the next trial on that actor).
# A worker whose host is cut off gives up its connection to the driver after this long (Ray's default is 20 s), and the
# driver, which is not told, would wait 5 min for the report. Longer, the report goes through when the network is back;
# where it does not come back, Ray takes the host for lost within a minute or so, and the trial runs again elsewhere.
# The last is what Tune by itself would set for each of its actors, and what Lightning asks for.
WORKER_ENVIRONMENT = {
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "RAY_grpc_keepalive_timeout_ms": "600000",
    "PL_DISABLE_FORK": "1",
}


@dataclass(frozen=True)
class Node:
    """What one host has to give."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """What the hosts of a cluster have to give, each by itself: a trial runs on one of them."""

    nodes: tuple[Node, ...]

    @property
    def gpus(self) -> float:
        """GPUs of all hosts."""
        return sum(node.gpus for node in self.nodes)


def prepare(address: str | None) -> None:
    """Import Ray, after a look whether `address` lets us in; connecting is quick then."""
    if address and address != "local":
        check_address(address)
    for key, value in DRIVER_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    import ray  # noqa: F401

    logging.getLogger("ray").setLevel(logging.ERROR)


@contextmanager
def connect(address: str | None) -> Iterator[Cluster]:
    """Connect to the cluster at `address`, or start a local one for as long as the context lasts.

    A connection that exists already is used and left open. Raises ClusterError where the address does not answer.
    """
    prepare(address)
    import ray

    if ray.is_initialized():
        yield _resources()
        return
    if address in (None, "", "local"):
        _start_local()
    else:
        _connect(str(address))
    try:
        _let_tune_use_idle_workers()  # imports Tune, while Ray starts workers
        yield _resources()
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Say at once what is wrong with a cluster's address, where that can be known; Ray itself takes minutes."""
    if "://" in address:
        raise ClusterError(
            f"RAY_ADDRESS must be HOST:PORT of a cluster's head, 'auto' or 'local', not {address!r}: to an http:// "
            "address of its API server `sweeps submit` sends a sweep; Ray Client (ray://) loses it with its connection"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"RAY_ADDRESS must be HOST:PORT of a cluster's head, 'auto' or 'local', not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_TIMEOUT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"the Ray cluster at {address} must answer; it does not ({error}). Start it with `ray start --head`, "
            "or unset RAY_ADDRESS to run here"
        ) from error
    authenticate(address)


def _start_local() -> None:
    for key, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    try:
        local_ray.start()
    except Exception as error:  # Ray raises nothing more special where its processes do not start in time
        raise ClusterError(f"Ray must start on this machine; it said: {_first_line(error)}") from error


def _connect(address: str) -> None:
    import ray

    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": WORKER_ENVIRONMENT},
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the Ray cluster at {address} must let this sweep in; it said: {_first_line(error)}"
        ) from error


def _let_tune_use_idle_workers() -> None:
    """Tune asks for an environment of its own for its actors, which no worker has that is there already."""
    from ray.tune.execution import class_cache

    # WORKER_ENVIRONMENT has what is in it.
    if hasattr(class_cache, "DEFAULT_ENV_VARS"):
        class_cache.DEFAULT_ENV_VARS.clear()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _resources() -> Cluster:
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return Cluster(tuple(Node(found.get("CPU", 0.0), found.get("GPU", 0.0)) for found in alive))
