"""Ray's client of the Jobs API with limits on its requests, which it lacks."""

from typing import Any

from ray.job_submission import JobSubmissionClient
from requests import Response

from sweeps.bounded_http import Limits, bounded_session
from sweeps.cluster.authentication import HOW_TO_SET
from sweeps.errors import ClusterError

# A busy head takes seconds to answer.
ANSWER_SECONDS = 60.0
# Code and data sets, in one request.
UPLOAD_SECONDS = 3600.0
_UNAUTHORISED = (401, 403)


class BoundedClient(JobSubmissionClient):
    """A client of the Jobs API: an answer is limited in time and size, and credentials follow no redirect."""

    def __init__(self, address: str, *, headers: dict[str, str], verify: str | bool) -> None:
        self._session = bounded_session(Limits())
        super().__init__(address, headers=headers, verify=verify)

    def _do_request(
        self, method: str, endpoint: str, *, data: bytes | None = None, json_data: Any = None, **named: Any
    ) -> Response:
        """Send a request of Ray's client. Raises ClusterError if the token is rejected, and errors of `requests`."""
        answer = self._session.request(
            method,
            f"{self._address}{endpoint}",
            cookies=self._cookies,
            data=data,
            json=json_data,
            headers=self._headers,
            verify=self._verify,
            timeout=ANSWER_SECONDS if data is None else UPLOAD_SECONDS,
            **named,
        )
        if answer.status_code in _UNAUTHORISED:
            raise ClusterError(
                f"the Ray cluster at {self._address} rejects the token (status {answer.status_code}): {HOW_TO_SET}"
            )
        return answer
