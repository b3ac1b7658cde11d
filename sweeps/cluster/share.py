"""What a trial takes of the cluster, and how many run at once."""

import math
from dataclasses import dataclass

from sweeps.cluster.session import Cluster
from sweeps.config import ResourcesConfig
from sweeps.errors import ClusterError


@dataclass(frozen=True)
class Share:
    """Resources of one trial, and how many trials the cluster holds at once."""

    cpus: float
    gpus: float
    concurrency: int


def share_of(resources: ResourcesConfig, cluster: Cluster) -> Share:
    """Divide a cluster among trials; ClusterError where not even one fits.

    `gpus_per_trial: auto` shares the cluster's GPUs evenly among as many trials as its CPUs hold, and asks for none
    where there are none.
    """
    slots = math.floor(cluster.cpus / resources.cpus_per_trial)
    if slots < 1:
        raise ClusterError(
            f"resources.cpus_per_trial must fit the cluster, which has {cluster.cpus:g} CPUs, "
            f"not {resources.cpus_per_trial:g}"
        )
    slots = min(slots, resources.concurrency or slots)
    if resources.gpus_per_trial == "auto":
        return Share(resources.cpus_per_trial, min(1.0, cluster.gpus / slots), slots)
    gpus = float(resources.gpus_per_trial)
    if gpus > cluster.gpus:
        raise ClusterError(
            f"resources.gpus_per_trial must fit the cluster, which has {cluster.gpus:g} GPUs, not {gpus:g}: "
            "set it to auto to take GPUs only where there are some"
        )
    return Share(resources.cpus_per_trial, gpus, min(slots, math.floor(cluster.gpus / gpus)) if gpus else slots)
