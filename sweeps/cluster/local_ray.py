"""Run a Ray on this machine for one sweep: started quickly, since a person is waiting, and closed to other users."""

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from sweeps.cluster.authentication import reload_token
from sweeps.cluster.ray_folder import ray_folder


@contextmanager
def local_ray(module_folders: Sequence[str] = ()) -> Iterator[None]:
    """Start Ray, connect to it, and end it afterwards. Only this user reaches it, and only from this machine.

    Workers look for modules in `module_folders` too.
    """
    import ray
    from ray.job_config import JobConfig

    with ray_folder() as folder:
        try:
            with _fewer_processes(), _on_loopback(), _own_token():
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=False,
                    job_config=JobConfig(_py_driver_sys_path=list(module_folders)),
                    logging_level=logging.ERROR,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=str(folder),
                    # Metrics would be served to anyone on this machine.
                    _system_config={"enable_metrics_collection": False},
                )
            yield
        finally:
            ray.shutdown()
            reload_token()  # a cluster that this process joins later has another


@contextmanager
def _own_token() -> Iterator[None]:
    """Have Ray, if it starts now, require a token of its own, whatever the environment says about those of clusters.

    Ray's processes inherit it. Ray's default is ~/.ray/auth_token, which other users may be able to read.
    """
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    previous = {name: os.environ.get(name) for name in token}
    os.environ.update(token)
    try:
        reload_token()
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have all of Ray's processes listen on the loopback address; Ray would replace it by an external address."""
    with patch("ray._private.services.resolve_ip_for_localhost", lambda address: address):
        yield


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
