"""The token that a Ray cluster may ask for: whether it does, whether ours is right, and that Ray sends it."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.errors import ClusterError

if TYPE_CHECKING:
    import grpc

PROBE_TIMEOUT_SECONDS = 5.0
# A question that every head answers, and whose request is empty.
_QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_TLS_FILES = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT")
HOW_TO_SET = (
    "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with the token, or put the token in ~/.ray/auth_token"
)


@dataclass(frozen=True)
class Token:
    """A token and where it is from; it shows in no representation."""

    value: str = field(repr=False)
    source: str


def find_token() -> Token | None:
    """The token that Ray would use: of RAY_AUTH_TOKEN, of the file RAY_AUTH_TOKEN_PATH, or of ~/.ray/auth_token."""
    if written := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return Token(written, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named).expanduser() if named else Path.home() / ".ray" / "auth_token"
    try:
        return Token(path.read_text().strip(), str(path))
    except OSError as error:
        if named:
            raise ClusterError(
                f"RAY_AUTH_TOKEN_PATH must be a file that can be read; {path} is not ({error.strerror})"
            ) from None
        return None


def authenticate(address: str) -> None:
    """Have Ray send a token to the head at HOST:PORT where that asks for one; ClusterError where ours is not right."""
    if _is_let_in(address, None):
        return
    token = find_token()
    if token is None:
        raise ClusterError(f"the Ray cluster at {address} asks for a token, and there is none here: {HOW_TO_SET}")
    if not _is_let_in(address, token):
        raise ClusterError(f"the Ray cluster at {address} does not take the token of {token.source}: {HOW_TO_SET}")
    send_token()


def send_token() -> None:
    """Have Ray send the token that it finds; on its own it does so where RAY_AUTH_MODE says so only."""
    os.environ["RAY_AUTH_MODE"] = "token"
    if "ray" in sys.modules:  # It has read its settings when it was imported.
        from ray._raylet import Config  # type: ignore[attr-defined]  # compiled

        Config.initialize("")


def _is_let_in(address: str, token: Token | None) -> bool:
    """Whether the head answers to this token, or without one."""
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token.value}")]
    with _channel(address) as channel:
        try:
            channel.unary_unary(_QUESTION)(b"", timeout=PROBE_TIMEOUT_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise ClusterError(
                f"the port of RAY_ADDRESS must be that of a Ray cluster's head, 6379 by default; {address} does not "
                f"answer as one ({error.code().name.lower().replace('_', ' ')}); one with TLS asks for "
                f"RAY_USE_TLS=1 and {', '.join(_TLS_FILES)}"
            ) from None
    return True


def _channel(address: str) -> "grpc.Channel":
    """A channel as Ray itself opens it: with TLS, and a certificate of ours, where RAY_USE_TLS says so."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "").lower() not in ("1", "true"):
        return grpc.insecure_channel(address)
    try:
        authority, key, certificate = (Path(os.environ.get(name, name)).read_bytes() for name in _TLS_FILES)
    except OSError as error:
        raise ClusterError(
            f"with RAY_USE_TLS, {', '.join(_TLS_FILES)} must be files that can be read: {error.filename!r} is not "
            f"({error.strerror})"
        ) from None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate))
