"""The metrics that a sweep records: what each one means, its unit and range, and which direction is better.

Objectives, figures and the reference in docs/ all read this table. Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["minimize", "maximize"]

EACH_VALIDATION = "after each validated epoch"


@dataclass(frozen=True)
class Metric:
    """A metric of a trial, by its name in MLflow.

    `better` is its usual direction, and `may_be_reversed` allows an objective the other one. `needs` says what a trial
    must have to record it; empty if all trials record it. `is_objective` says whether trials can be ranked by it.
    """

    name: str
    meaning: str
    formula: str
    unit: str
    range: str
    better: Direction
    needs: str = ""
    measured: str = EACH_VALIDATION
    may_be_reversed: bool = False
    is_objective: bool = True

    @property
    def is_of_a_split(self) -> bool:
        """Whether it is measured on the validation split while training, and on the test split by `evaluate`."""
        return self.name.startswith("valid/")


# In the order in which figures show them. Metrics of one unit share a panel.
TRIAL_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "valid/mse",
            "Error of the reconstruction of clean samples, without penalties.",
            "mean of (reconstruction − input)² over samples and features",
            "mean squared error",
            "0 or more",
            "minimize",
        ),
        Metric(
            "valid/denoise_mse",
            "Error of the reconstruction of corrupted samples, compared with the clean ones (Vincent et al. 2008).",
            "mean of (reconstruction of the corrupted input − input)² over samples and features",
            "mean squared error",
            "0 or more",
            "minimize",
            needs="`model.noise.level` above 0",
        ),
        Metric(
            "valid/classification_error",
            "Share of samples that the fine-tuned stack classifies wrongly.",
            "wrong ÷ samples",
            "share misclassified",
            "0 to 1",
            "minimize",
            needs="labels, and a stack with `model.fine_tuning: classification`",
        ),
        Metric(
            "valid/probe_error",
            "Share of samples that a linear classifier, fitted on the codes of training samples, classifies wrongly.",
            "multinomial logistic regression with an L2 penalty on standardised codes; wrong ÷ samples",
            "share misclassified",
            "0 to 1",
            "minimize",
            needs="labels, and `training.probe_samples` above 0",
            measured="at rungs and after the last epoch; after each validated epoch if it is an objective",
        ),
        Metric(
            "valid/r2",
            "Share of the variance that the reconstruction explains: 0 for always predicting the training mean.",
            "1 − mse ÷ mse of the training mean; if that is 0, 1 for an exact reconstruction and 0 for any other",
            "R²",
            "1 or less",
            "maximize",
        ),
        Metric(
            "valid/mse_over_pca",
            "Error relative to PCA with as many components as the code has units. On its training data, a linear "
            "autoencoder cannot get below 1 (Baldi and Hornik 1989).",
            "mse ÷ mse of PCA, fitted on the training split",
            "mse ÷ mse of PCA",
            "0 or more",
            "minimize",
            needs="a code smaller than the input, and a PCA of that size that makes errors",
        ),
        Metric(
            "valid/code_sparsity",
            "Sparseness of the codes (Hoyer 2004, section 3.1): 0 if all units are equally strong, 1 if one is active.",
            "mean over samples of (√n − ‖h‖₁ ÷ ‖h‖₂) ÷ (√n − 1), for a code h of n units",
            "Hoyer's sparseness",
            "0 to 1",
            "maximize",
            may_be_reversed=True,
        ),
        Metric(
            "valid/dead_units",
            "Share of the code's units that give the same value for all samples.",
            "units whose largest and smallest value agree up to float32 rounding ÷ units",
            "share of dead units",
            "0 to 1",
            "minimize",
            may_be_reversed=True,
        ),
        Metric(
            "train/loss",
            "What the optimiser minimises: `model.loss` on corrupted training samples, plus penalties.",
            "mean over the epoch's samples of reconstruction loss + penalties",
            "training loss",
            "0 or more",
            "minimize",
            measured="after each epoch of the whole network",
        ),
        Metric(
            "pretrain/loss",
            "Loss of the layer that layer-wise pretraining trains: of its denoising, or its reconstruction error under "
            "contrastive divergence.",
            "mean over the epoch's samples",
            "pretraining loss",
            "0 or more",
            "minimize",
            needs="`model.name: stacked_denoising` with `model.pretraining.epochs` above 0",
            measured="after each epoch of pretraining; the layers follow one another",
            is_objective=False,
        ),
    )
}

# Of a sweep's parent run: how its trials ended.
SWEEP_METRICS = {
    "best_so_far/OBJECTIVE": "Best value of each objective that any trial has reached, by the number of ended trials.",
    "importance/SETTING": "Share of the first objective's variance that a searched setting alone explains (fANOVA).",
    "trials/finished": "Trials that finished, those that stopped early among them.",
    "trials/stopped_early": "Finished trials that stopped before their last epoch.",
    "trials/failed": "Trials that raised an error, diverged, or lost their process more often than "
    "`resources.retries` allows.",
    "trials/interrupted": "Trials that an interruption of the sweep left unfinished.",
    "device_hours": "Device time of all trials so far: wall time, times the GPUs they hold, or CPU cores without GPUs.",
}

# Of the machine that trains a trial, in MLflow's own names below `system/` (`{i}` numbers its GPUs).
SYSTEM_METRICS = {
    "cpu_utilization_percentage": "CPU in use, of all cores.",
    "system_memory_usage_megabytes": "Memory in use.",
    "system_memory_usage_percentage": "Memory in use, of all.",
    "disk_usage_megabytes": "Disk in use, of the disk with the root folder.",
    "disk_usage_percentage": "Disk in use, of all.",
    "disk_available_megabytes": "Free disk.",
    "network_receive_megabytes": "Received by all network interfaces since the trial or its pack began.",
    "network_transmit_megabytes": "Sent by all network interfaces since the trial or its pack began.",
    "gpu_{i}_memory_usage_megabytes": "Memory in use on the GPU; on AMD GPUs in `..._gigabytes`.",
    "gpu_{i}_memory_usage_percentage": "Memory in use on the GPU, of all.",
    "gpu_{i}_utilization_percentage": "Share of the time in which the GPU computed.",
    "gpu_{i}_power_usage_watts": "Power that the GPU drew.",
    "gpu_{i}_power_usage_percentage": "Power that the GPU drew, of its limit.",
}


def metric_of(name: str) -> Metric | None:
    """Return the metric that a recorded name, such as `best/valid/mse` or `test/mse`, is a value of."""
    name = name.removeprefix("best/").removeprefix("best_so_far/")
    if name.startswith("test/"):
        name = f"valid/{name.removeprefix('test/')}"
    return TRIAL_METRICS.get(name)
