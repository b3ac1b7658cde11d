"""Limits on the requests of MLflow's own client: time, size, and no redirects."""

from mlflow.utils import request_utils

from sweeps.bounded_http import BoundedAdapter


class _Adapter(BoundedAdapter, request_utils.TCPKeepAliveHTTPAdapter):
    """MLflow's adapter with limits; MLFLOW_HTTP_REQUEST_TIMEOUT is the total time of a request."""


def bound_requests() -> None:
    """Have every session that MLflow opens use the limits; MLflow has no setting for them."""
    if request_utils.TCPKeepAliveHTTPAdapter is not _Adapter:
        request_utils.TCPKeepAliveHTTPAdapter = _Adapter  # type: ignore[misc]
        request_utils._cached_get_request_session.cache_clear()
