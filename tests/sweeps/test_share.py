"""What a trial takes of a cluster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.cluster.session import Cluster
from sweeps.cluster.share import share_of
from sweeps.config import ResourcesConfig
from sweeps.errors import ClusterError


def test_auto_takes_no_gpu_where_there_is_none() -> None:
    assert share_of(ResourcesConfig(), Cluster(cpus=4, gpus=0)).gpus == 0


def test_auto_shares_a_gpu_among_the_trials_that_the_cpus_hold() -> None:
    share = share_of(ResourcesConfig(cpus_per_trial=2.0), Cluster(cpus=8, gpus=1))
    assert (share.concurrency, share.gpus) == (4, 0.25)


def test_concurrency_bounds_what_would_fit() -> None:
    assert share_of(ResourcesConfig(concurrency=3), Cluster(cpus=8, gpus=0)).concurrency == 3


def test_more_gpus_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(ClusterError, match=r"has 1 GPUs, not 2"):
        share_of(ResourcesConfig(gpus_per_trial=2.0), Cluster(cpus=8, gpus=1))


def test_more_cpus_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(ClusterError, match=r"has 2 CPUs, not 3"):
        share_of(ResourcesConfig(cpus_per_trial=3.0), Cluster(cpus=2, gpus=0))


@given(
    cpus=st.integers(1, 256),
    gpus=st.integers(0, 16),
    cpus_per_trial=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    gpus_per_trial=st.sampled_from(["auto", 0.0, 0.25, 0.5, 1.0, 2.0]),
)
def test_trials_at_once_never_take_more_than_the_cluster_has(
    cpus: int, gpus: int, cpus_per_trial: float, gpus_per_trial: float | str
) -> None:
    resources = ResourcesConfig.model_validate({"cpus_per_trial": cpus_per_trial, "gpus_per_trial": gpus_per_trial})
    try:
        share = share_of(resources, Cluster(cpus=cpus, gpus=gpus))
    except ClusterError:
        return
    assert share.concurrency >= 1
    assert share.concurrency * share.cpus <= cpus
    assert share.concurrency * share.gpus <= gpus + 1e-9
