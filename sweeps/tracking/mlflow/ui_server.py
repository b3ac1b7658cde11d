"""The server process of `sweeps ui`: MLflow's server behind a token, confined to the artifacts of its store.

It reads its settings from standard input: other users see command lines.
"""

import json
import os
import signal
import socket
import sys
import warnings
from pathlib import Path

from sweeps.tracking.mlflow.ui_guard import App, TokenGuard
from sweeps.tracking.mlflow.uri import sqlite_path, without_credentials


def main() -> int:
    """Serve a store until a signal ends the process; return 1 if MLflow does not open the store."""
    settings = json.load(sys.stdin)
    # uvicorn ends at Ctrl-C, and raises the signal again. By default, that would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", module="mlflow")
    import uvicorn  # before MLflow, which looks whether it is imported

    listening = socket.socket(fileno=settings["socket"])
    try:
        app = _mlflow_app(settings["uri"])
    except Exception as error:  # MLflow raises its own and those of the database's driver
        reason = without_credentials(str(error)).partition("\n")[0]
        print(f"MLflow cannot open the store: {reason}", file=sys.stderr)
        return 1
    guarded = TokenGuard(app, settings["token"], listening.getsockname()[1])
    # An access log would contain the token of the first request.
    config = uvicorn.Config(guarded, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _mlflow_app(uri: str) -> App:
    """Return MLflow's server for a store, as `mlflow server` sets it up."""
    from mlflow.server import constants

    destination = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION") or _default_destination(uri)
    root = "mlflow-artifacts:/"
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: uri,
        constants.ARTIFACT_ROOT_ENV_VAR: root,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: destination,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        # The server's job runner evaluates language models: seven processes that are not needed here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    from sweeps.tracking.mlflow.ui_artifacts import artifact_folders, confine

    initialize_backend_stores(uri, uri, root)
    confine(artifact_folders(uri, destination))
    mlflow_app: App = app
    return mlflow_app


def _default_destination(uri: str) -> str:
    store = sqlite_path(uri)
    return str((Path.cwd() if store is None else store.parent) / "mlartifacts")


if __name__ == "__main__":
    sys.exit(main())
