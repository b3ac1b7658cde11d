"""The sweep by hand with Optuna, Lightning and MLflow: `optuna_study.py FOLDER EXPERIMENT`; run it again to resume.

In the style of Optuna's documentation: a study in a database, with a heartbeat, and checkpoints from which the retry
of a killed trial continues. Nested runs are opened as in MLflow's example for Optuna, and filled by Lightning's logger.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytorch_lightning as lightning
import torch
from network import Autoencoder, digits_loaders, filters
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import MLFlowLogger

N_TRIALS = 8


def objective(trial: optuna.Trial, folder: Path, experiment: str, parent_run_id: str) -> float:
    settings: dict[str, Any] = {
        "hidden_size": trial.suggest_categorical("hidden_size", [16, 32, 64]),
        "noise": trial.suggest_float("noise", 0.0, 0.5),
        "hidden_l1": trial.suggest_float("hidden_l1", 1e-6, 1e-2, log=True),
    }
    retried = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial.study.trials[trial.number])
    name = f"trial-{trial.number if retried is None else retried}"
    model = Autoencoder(64, **settings)
    with mlflow.start_run(run_name=name, nested=True, parent_run_id=parent_run_id) as run:
        mlflow.log_params(settings)
        trainer = lightning.Trainer(
            max_epochs=10,
            accelerator="cpu",
            enable_progress_bar=False,
            logger=MLFlowLogger(experiment, tracking_uri=mlflow.get_tracking_uri(), run_id=run.info.run_id),
            callbacks=[ModelCheckpoint(folder / name, save_last=True)],
        )
        last = folder / name / "last.ckpt"
        loader, valid_loader = digits_loaders()
        trainer.fit(model, loader, valid_loader, ckpt_path=last if last.exists() else None)
        mlflow.log_figure(filters(model), "filters.png")
        (metrics,) = trainer.validate(model, valid_loader, verbose=False)
    return metrics["valid_mse"]


def main() -> None:
    folder, experiment = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    mlflow.set_experiment(experiment)
    storage = RDBStorage(
        f"sqlite:///{folder}/optuna.db",
        heartbeat_interval=5,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=3),
    )
    study = optuna.create_study(
        study_name=experiment, storage=storage, load_if_exists=True, sampler=optuna.samplers.TPESampler(seed=0)
    )
    with mlflow.start_run(run_id=study.user_attrs.get("run_id"), run_name="sweep") as parent:
        study.set_user_attr("run_id", parent.info.run_id)
        n_complete = len(study.get_trials(states=[TrialState.COMPLETE]))
        train = partial(objective, folder=folder, experiment=experiment, parent_run_id=parent.info.run_id)
        study.optimize(train, n_trials=N_TRIALS - n_complete, n_jobs=2, catch=[Exception])
    finished = len(study.get_trials(states=[TrialState.COMPLETE]))
    print(json.dumps({"finished": finished, "best": study.best_params, "valid_mse": study.best_value}))


if __name__ == "__main__":
    main()
