"""A Ray of this machine alone, started for one sweep: quickly, for a person waits."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

# What a trial imports takes longer than the rest of the start: workers begin with it before they are given one.
_PRELOADED = "sweeps.trial"
# Ray starts others in the place of workers that are not there when Tune asks for them: give them this long.
_WORKERS_PATIENCE_SECONDS = 30.0


def start() -> None:
    """Start Ray and connect to it; workers import what trials need while the driver goes on."""
    import ray

    with _fewer_processes():
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _system_config={"preload_python_modules": [_PRELOADED]},
        )


def await_workers() -> None:
    """Wait until the workers are there that Ray starts by itself, one a CPU; they import while they wait for work."""
    import ray
    from ray._private.state import state

    n_workers = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + _WORKERS_PATIENCE_SECONDS
    while len(state.workers()) < n_workers and time.monotonic() < deadline:  # type: ignore[no-untyped-call]
        time.sleep(0.02)


@contextmanager
def _fewer_processes() -> Iterator[None]:
    """Leave out what a local Ray has no use for, each a Python process: autoscaler, web server, what forwards logs."""
    from ray._private.node import Node

    with ExitStack() as patches:
        for start_process in ("start_monitor", "start_log_monitor", "start_api_server"):
            patches.enter_context(patch.object(Node, start_process))
        yield
