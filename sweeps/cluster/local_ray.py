"""Start Ray on this machine for one sweep, quickly: a person is waiting."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch


def start() -> None:
    """Start Ray and connect to it."""
    import ray

    with _fewer_processes():
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


@contextmanager
def _fewer_processes() -> Iterator[None]:
    """Leave out three Python processes that a local Ray does not need: autoscaler, web server, log forwarder.

    Ray has no setting for them. They start if a version of Ray renames the patched methods.
    """
    from ray._private.node import Node

    with ExitStack() as patches:
        for start_process in ("start_monitor", "start_log_monitor", "start_api_server"):
            if hasattr(Node, start_process):
                patches.enter_context(patch.object(Node, start_process))
        yield
