"""How requests reach a cluster's API server: trusted certificates, and headers for a proxy in front of it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.cluster.authentication import Token
from sweeps.errors import ClusterError

# Ray's own command line reads the first too; the second is its option --verify.
HEADERS_VARIABLE, VERIFY_VARIABLE = "RAY_JOB_HEADERS", "RAY_JOB_VERIFY"


@dataclass(frozen=True)
class Transport:
    """Certificates to trust, True for those of this machine; and extra headers, which are left out of the repr."""

    verify: str | bool = True
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers(self, token: Token | None) -> dict[str, str]:
        """Return the headers of a request; the token moves to another header if a proxy uses `Authorization`."""
        if token is None:
            return dict(self.extra_headers)
        is_taken = any(name.lower() == "authorization" for name in self.extra_headers)
        name = "X-Ray-Authorization" if is_taken else "Authorization"
        return {**self.extra_headers, name: f"Bearer {token.value}"}


def transport_from_environment() -> Transport:
    """Read RAY_JOB_VERIFY and RAY_JOB_HEADERS. Raises ClusterError without their values, which may be secret."""
    return Transport(_verify(os.environ.get(VERIFY_VARIABLE)), _headers(os.environ.get(HEADERS_VARIABLE)))


def _verify(named: str | None) -> str | bool:
    if not named:
        return True
    path = Path(named).expanduser()
    if not path.exists():
        raise ClusterError(
            f"{VERIFY_VARIABLE} must be a file or folder of certificates; {path} does not exist: correct the path"
        )
    return str(path)


def _headers(written: str | None) -> dict[str, str]:
    try:
        found = json.loads(written or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ClusterError(f'{HEADERS_VARIABLE} must be a JSON object of strings: {{"NAME": "VALUE"}}')
    return found
