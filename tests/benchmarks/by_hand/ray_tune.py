"""The sweep by hand with Ray Tune, Lightning and MLflow: `ray_tune.py FOLDER EXPERIMENT`; run it again to resume.

In the style of Ray's documentation: `setup_mlflow` and autologging as in its Lightning example with MLflow, checkpoints
and `Tuner.restore` as in its guide to fault tolerance. A tag nests the trials' runs under one parent run.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytorch_lightning as lightning
import ray
import torch
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from network import Autoencoder, digits_loaders, filters
from ray import tune
from ray.air.integrations.mlflow import setup_mlflow
from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback


def train(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    setup_mlflow(
        config["settings"],
        experiment_name=config["experiment"],
        run_name=tune.get_context().get_trial_name(),
        tags={MLFLOW_PARENT_RUN_ID: config["parent_run_id"]},
    )
    mlflow.pytorch.autolog(log_models=False, checkpoint=False)
    model = Autoencoder(64, **config["settings"])
    report = TuneReportCheckpointCallback(["train_loss", "valid_mse"], on="train_epoch_end")
    trainer = lightning.Trainer(
        max_epochs=10,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[report],
    )
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            trainer.fit(model, *digits_loaders(), ckpt_path=f"{folder}/checkpoint")
    else:
        trainer.fit(model, *digits_loaders())
    mlflow.log_figure(filters(model), "filters.png")
    mlflow.end_run()


def new_tuner(folder: Path, experiment: str) -> tune.Tuner:
    """A tuner of 8 trials, whose runs are children of a new run."""
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name="sweep") as parent:
        pass
    space = {
        "settings": {
            "hidden_size": tune.choice([16, 32, 64]),
            "noise": tune.uniform(0.0, 0.5),
            "hidden_l1": tune.loguniform(1e-6, 1e-2),
        },
        "experiment": experiment,
        "parent_run_id": parent.info.run_id,
    }
    return tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="valid_mse",
            mode="min",
            num_samples=8,
            search_alg=tune.search.basic_variant.BasicVariantGenerator(random_state=0),
        ),
        run_config=tune.RunConfig(name="sweep", storage_path=str(folder)),
    )


def main() -> None:
    folder, experiment = Path(sys.argv[1]).resolve(), sys.argv[2]
    ray.init(num_cpus=2, include_dashboard=False)
    if tune.Tuner.can_restore(folder / "sweep"):
        tuner = tune.Tuner.restore(
            str(folder / "sweep"), tune.with_resources(train, {"cpu": 1}), resume_unfinished=True, resume_errored=True
        )
    else:
        tuner = new_tuner(folder, experiment)
    results = tuner.fit()
    best = results.get_best_result("valid_mse", "min")
    finished = len(results) - results.num_errors
    print(json.dumps({"finished": finished, "best": best.config, "metrics": best.metrics}, default=str))


if __name__ == "__main__":
    main()
