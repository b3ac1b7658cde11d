"""Create MLflow's user `sweeps`, as which Ray jobs log in, or give it the password of MLFLOW_SWEEPS_PASSWORD.

Runs as user `admin`, with MLflow's URL and both passwords in the environment. Permissions that exist are kept: an
administrator may have changed them.
"""

import os
import sys
from collections.abc import Callable
from functools import partial

from mlflow.exceptions import MlflowException
from mlflow.server.auth.client import AuthServiceClient

USER = "sweeps"
# Of resources that others created. Who creates an experiment or a registered model may do anything with it.
PERMISSIONS = {
    "experiment": "EDIT",
    "run": "MANAGE",  # `sweeps delete --runs`
    "registered_model": "EDIT",
    "registered_model_version": "MANAGE",  # replacing tags of a version
}


def main() -> None:
    client, password = AuthServiceClient(os.environ["MLFLOW_TRACKING_URI"]), os.environ["MLFLOW_SWEEPS_PASSWORD"]
    if created(partial(client.create_user, USER, password)):
        print(f"created user `{USER}`")
    else:
        client.update_user_password(USER, password)
        client.update_user_admin(USER, False)
        print(f"updated user `{USER}`")
    for resource, permission in PERMISSIONS.items():
        created(partial(client.grant_user_permission, USER, resource, "*", permission))


def created(create: Callable[[], object]) -> bool:
    """Call a function that creates something in MLflow; return False if it exists."""
    try:
        create()
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            return False
        if error.get_http_status_code() == 401:
            sys.exit(
                "MLflow rejected the password of user `admin`. MLFLOW_ADMIN_PASSWORD in .env must be its current "
                "password: MLflow reads it on the first start only."
            )
        raise
    return True


if __name__ == "__main__":
    main()
