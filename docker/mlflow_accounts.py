"""Create MLflow's user `sweeps`, which Ray jobs log in as, or give it the password of MLFLOW_SWEEPS_PASSWORD.

Runs as user `admin`, with MLflow's URL and both passwords in the environment. Permissions that exist are kept: an
administrator may have changed them. It imports no MLflow, because docker-compose 1.29 waits a minute for it at most.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request

USER = "sweeps"
# Of resources that others created. The creator of an experiment or a registered model may do anything with it.
PERMISSIONS = {
    "experiment": "EDIT",
    "run": "MANAGE",  # `sweeps delete --runs`
    "registered_model": "EDIT",
    "registered_model_version": "MANAGE",  # replacing tags of a version
}
USERS = "/api/2.0/mlflow/users/"


def main() -> None:
    password = os.environ["MLFLOW_SWEEPS_PASSWORD"]
    if ask("POST", USERS + "create", username=USER, password=password):
        print(f"created user `{USER}`")
    else:
        ask("PATCH", USERS + "update-password", username=USER, password=password)
        ask("PATCH", USERS + "update-admin", username=USER, is_admin=False)
        print(f"updated user `{USER}`")
    for resource, permission in PERMISSIONS.items():
        body = {"username": USER, "resource_type": resource, "resource_id": "*", "permission": permission}
        ask("POST", "/api/3.0/mlflow/users/permissions/grant", **body)


def ask(method: str, path: str, **body: object) -> bool:
    """Send a request to MLflow; return False if what it creates exists."""
    login = f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
        "Content-Type": "application/json",
    }
    url, data = os.environ["MLFLOW_TRACKING_URI"] + path, json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 (the stack's own MLflow)
    try:
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error.read(10_000).decode(errors="replace")
        if error.code == 401:
            sys.exit(
                "MLflow rejected the password of user `admin`. MLFLOW_ADMIN_PASSWORD in .env must be its current "
                "password: MLflow reads it on the first start only."
            )
        if "RESOURCE_ALREADY_EXISTS" not in answer:
            sys.exit(f"MLflow answered {path} with status {error.code}: {answer}")
        return False
    return True


if __name__ == "__main__":
    main()
