"""Limits on the requests of MLflow's own client: time, size, no redirects, and answers of the form of its API."""

from typing import Any

from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
from mlflow.exceptions import MlflowException
from mlflow.utils import request_utils, rest_utils
from mlflow.utils.proto_json_utils import parse_dict

from sweeps.bounded_http import BoundedAdapter, Limits


class _Adapter(BoundedAdapter, request_utils.TCPKeepAliveHTTPAdapter):
    """MLflow's adapter with limits; MLFLOW_HTTP_REQUEST_TIMEOUT is the total time of a request."""

    limits = Limits(transfer_bytes=2 * 1000**3)  # downloads are files of models


def bound_requests() -> None:
    """Have every session that MLflow opens use the limits; MLflow has no setting for them."""
    if request_utils.TCPKeepAliveHTTPAdapter is not _Adapter:
        request_utils.TCPKeepAliveHTTPAdapter = _Adapter  # type: ignore[misc]
        request_utils._cached_get_request_session.cache_clear()
        rest_utils.parse_dict = _parse_answer  # type: ignore[attr-defined]


def _parse_answer(js_dict: Any, message: Any) -> None:
    """Read an answer as MLflow does; raise its error for values of other types, on which it raises many others."""
    try:
        parse_dict(js_dict, message)  # type: ignore[no-untyped-call]
    except (ParseError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise MlflowException(f"the answer is not of the form of MLflow's API: {error}") from error
