"""A Ray of this machine alone, started for one sweep: quickly, for a person waits."""

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
    """Leave out what a local Ray has no use for, each a Python process: autoscaler, web server, what forwards logs.

    Ray has no setting for them. A version that starts them by other methods starts them.
    """
    from ray._private.node import Node

    with ExitStack() as patches:
        for start_process in ("start_monitor", "start_log_monitor", "start_api_server"):
            if hasattr(Node, start_process):
                patches.enter_context(patch.object(Node, start_process))
        yield
