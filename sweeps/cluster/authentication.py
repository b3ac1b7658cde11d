"""The token that a Ray cluster may require: find it, check it, and have Ray send it."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.errors import ClusterError

if TYPE_CHECKING:
    import grpc

PROBE_TIMEOUT_SECONDS = 5.0
# A request that every head answers; its message is empty.
_CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_TLS_FILES = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT")
HOW_TO_SET = (
    "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with the token, or put the token in ~/.ray/auth_token"
)


@dataclass(frozen=True)
class Token:
    """A token and its source; the token is left out of the repr."""

    value: str = field(repr=False)
    source: str


def find_token() -> Token | None:
    """Return the token that Ray would use: RAY_AUTH_TOKEN, or from RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token."""
    if written := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return Token(written, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named).expanduser() if named else Path.home() / ".ray" / "auth_token"
    try:
        return Token(path.read_text().strip(), str(path))
    except OSError as error:
        if named:
            raise ClusterError(
                f"RAY_AUTH_TOKEN_PATH must be a readable file; {path} is not ({error.strerror}): correct the path"
            ) from None
        return None


def authenticate(address: str) -> None:
    """Have Ray send its token to the head at HOST:PORT if that requires one. Raises ClusterError if it rejects ours."""
    if _accepts(address, None):
        return
    token = find_token()
    if token is None:
        raise ClusterError(f"the Ray cluster at {address} requires a token, and none is set: {HOW_TO_SET}")
    if not _accepts(address, token):
        raise ClusterError(f"the Ray cluster at {address} rejects the token of {token.source}: {HOW_TO_SET}")
    send_token()


def send_token() -> None:
    """Have Ray send the token that it finds, which it does only if RAY_AUTH_MODE is set."""
    os.environ["RAY_AUTH_MODE"] = "token"
    if "ray" in sys.modules:  # Ray has read its settings on import
        reload_token()


def reload_token() -> None:
    """Have Ray, which is imported, read the environment's token settings again."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _accepts(address: str, token: Token | None) -> bool:
    """Return whether the head accepts this token, or none."""
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token.value}")]
    with _channel(address) as channel:
        try:
            channel.unary_unary(_CHECK_ALIVE)(b"", timeout=PROBE_TIMEOUT_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise ClusterError(
                f"RAY_ADDRESS must be a Ray head's HOST:PORT, with port 6379 by default; {address} does not answer as "
                f"one ({error.code().name.lower().replace('_', ' ')}): correct it, or for a head with TLS "
                f"set RAY_USE_TLS=1 and {', '.join(_TLS_FILES)}"
            ) from None
    return True


def _channel(address: str) -> "grpc.Channel":
    """Return a channel as Ray opens it: with TLS and a client certificate if RAY_USE_TLS is set."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "").lower() not in ("1", "true"):
        return grpc.insecure_channel(address)
    try:
        authority, key, certificate = (Path(os.environ.get(name, name)).read_bytes() for name in _TLS_FILES)
    except OSError as error:
        raise ClusterError(
            f"with RAY_USE_TLS, {', '.join(_TLS_FILES)} must be readable files; {error.filename!r} is not "
            f"({error.strerror}): correct the path"
        ) from None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate))
