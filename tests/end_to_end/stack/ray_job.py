"""Run as a Ray job would be: print what it gets beyond its MLflow account, and each environment that it can read."""

import base64
import json
import os
import pathlib
import socket
import sys
import urllib.error
import urllib.request

JSON = {"Content-Type": "application/json"}
USER = f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}"
LOGIN = {**JSON, "Authorization": "Basic " + base64.b64encode(USER.encode()).decode()}
API, USERS = "/api/2.0/mlflow/", "/api/2.0/mlflow/users/"
SEARCH = {"max_results": 1}
GRANT = {"username": "sweeps", "resource_type": "experiment", "resource_id": "*", "permission": "MANAGE"}
ANOTHER = {"username": "another", "password": "of-a-ray-job-1234"}


def status_of(method: str, path: str, body: object, headers: dict[str, str]) -> int:
    url, data = os.environ["MLFLOW_TRACKING_URI"] + path, json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    try:
        return int(urllib.request.urlopen(request, timeout=20).status)  # noqa: S310
    except urllib.error.HTTPError as error:
        return error.code


for address in ("postgres", *sys.argv[1:]):
    try:
        socket.create_connection((address, 5432), 3).close()
        print("REACHED", address)
    except OSError:
        continue
for expected, method, path, body, headers in (
    (401, "POST", API + "experiments/search", SEARCH, JSON),
    (200, "POST", API + "experiments/search", SEARCH, LOGIN),
    (403, "PATCH", USERS + "update-admin", {"username": "sweeps", "is_admin": True}, LOGIN),
    (403, "PATCH", USERS + "update-password", {"username": "admin", "password": "changed-by-a-job"}, LOGIN),
    (403, "POST", USERS + "create", ANOTHER, LOGIN),
    (403, "POST", "/api/3.0/mlflow/users/permissions/grant", GRANT, LOGIN),
):
    status = status_of(method, path, body, headers)
    if status != expected:
        print("STATUS", method, path, status)
for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        print(environment.read_text().replace("\0", "\n"))
    except OSError:
        continue
print("done")
