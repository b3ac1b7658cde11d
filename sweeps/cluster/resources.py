"""The CPUs and GPUs of each trial, and how many trials run at once."""

import math
from dataclasses import dataclass

from sweeps.cluster.session import Cluster, Node
from sweeps.config import ResourcesConfig
from sweeps.errors import ClusterError


@dataclass(frozen=True)
class Share:
    """The resources of one trial, and how many trials run at once."""

    cpus: float
    gpus: float
    concurrency: int

    @property
    def devices(self) -> float:
        """Return how many devices a trial or pack holds: GPUs if it uses any, else CPU cores."""
        return self.gpus or self.cpus


def share_of(resources: ResourcesConfig, cluster: Cluster, *, packs: bool = False) -> Share:
    """Divide a cluster among trials, host by host. Raises ClusterError if no host has room for one trial.

    `gpus_per_trial: auto` divides the GPUs of each host among as many trials as its CPUs have room for; without GPUs it
    requests none. With `packs`, each of which fills a GPU, each trial gets a whole one.
    """
    cpus = resources.cpus_per_trial
    automatic = min(1.0, cluster.gpus) if packs else _automatic(cpus, cluster)
    gpus = automatic if resources.gpus_per_trial == "auto" else float(resources.gpus_per_trial)
    slots = sum(_slots(node, cpus, gpus) for node in cluster.nodes)
    if slots < 1:
        largest = ", ".join(sorted({f"{node.cpus:g} CPUs and {node.gpus:g} GPUs" for node in cluster.nodes}))
        raise ClusterError(
            f"resources.cpus_per_trial {cpus:g} and resources.gpus_per_trial {gpus:g} must fit one host; the cluster's "
            f"hosts have {largest}: request less"
        )
    return Share(cpus, gpus, min(slots, resources.concurrency or slots))


def _automatic(cpus: float, cluster: Cluster) -> float:
    """Return the GPU share per trial that fits as many trials as the CPUs."""
    shares = [node.gpus / math.floor(node.cpus / cpus) for node in cluster.nodes if node.gpus and node.cpus >= cpus]
    # Ray counts in ten-thousandths and rounds up; round down, so that all of the trials fit.
    return min(1.0, math.floor(max(shares) * 10_000) / 10_000) if shares else 0.0


def _slots(node: Node, cpus: float, gpus: float) -> int:
    by_cpus = math.floor(node.cpus / cpus)
    return by_cpus if not gpus else min(by_cpus, math.floor(node.gpus / gpus + 1e-9))
