"""From a trial's network to a registered model: how it is packaged, what it must pass, who holds an alias and why."""

from sweeps.tracking.mlflow.connection import set_environment

set_environment()  # before any module here imports mlflow
