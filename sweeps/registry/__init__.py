"""From a trial's network to a registered model: its package, the gates it must pass, the alias and its history."""

from sweeps.tracking.mlflow.connection import set_environment

set_environment()  # before any module here imports mlflow
