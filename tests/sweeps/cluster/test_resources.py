"""What a trial takes of a cluster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.cluster.resources import share_of
from sweeps.cluster.session import Cluster, Node
from sweeps.config import ResourcesConfig
from sweeps.errors import ClusterError


def one(cpus: float, gpus: float = 0) -> Cluster:
    return Cluster((Node(cpus, gpus),))


def test_auto_takes_no_gpu_where_there_is_none() -> None:
    assert share_of(ResourcesConfig(), one(4)).gpus == 0


def test_auto_shares_a_gpu_among_the_trials_that_the_cpus_hold() -> None:
    share = share_of(ResourcesConfig(cpus_per_trial=2.0), one(8, 1))
    assert (share.concurrency, share.gpus) == (4, 0.25)


def test_auto_takes_only_hosts_with_gpus_where_there_are_some() -> None:
    share = share_of(ResourcesConfig(), Cluster((Node(32), Node(4, 1))))
    assert (share.concurrency, share.gpus) == (4, 0.25)


def test_auto_takes_a_whole_gpu_for_a_pack() -> None:
    share = share_of(ResourcesConfig(), one(8, 2), packs=True)
    assert (share.concurrency, share.gpus) == (2, 1.0)
    assert share_of(ResourcesConfig(), one(8), packs=True).gpus == 0


def test_concurrency_bounds_what_would_fit() -> None:
    assert share_of(ResourcesConfig(concurrency=3), one(8)).concurrency == 3


def test_trials_of_all_hosts_are_counted() -> None:
    assert share_of(ResourcesConfig(cpus_per_trial=3.0), Cluster((Node(4), Node(4)))).concurrency == 2


@pytest.mark.parametrize(
    ("asked", "cluster"),
    [
        ({"gpus_per_trial": 2.0}, Cluster((Node(8, 1), Node(8, 1)))),
        ({"cpus_per_trial": 8.0}, Cluster((Node(4), Node(4)))),
        ({"gpus_per_trial": 1.0}, one(8)),
    ],
)
def test_trial_that_fits_no_host_is_refused(asked: dict[str, float], cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="must fit one host"):
        share_of(ResourcesConfig.model_validate(asked), cluster)


@given(
    nodes=st.lists(
        st.builds(Node, st.integers(1, 64).map(float), st.integers(0, 8).map(float)), min_size=1, max_size=4
    ),
    cpus_per_trial=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    gpus_per_trial=st.sampled_from(["auto", 0.0, 0.25, 0.5, 1.0, 2.0]),
)
def test_hosts_can_hold_the_trials_that_are_to_run_at_once(
    nodes: list[Node], cpus_per_trial: float, gpus_per_trial: float | str
) -> None:
    resources = ResourcesConfig.model_validate({"cpus_per_trial": cpus_per_trial, "gpus_per_trial": gpus_per_trial})
    try:
        share = share_of(resources, Cluster(tuple(nodes)))
    except ClusterError:
        return
    held = 0
    for node in nodes:  # as Ray places them: in ten-thousandths, while both resources last
        cpus, gpus = round(node.cpus * 10_000), round(node.gpus * 10_000)
        while cpus >= share.cpus * 10_000 and gpus >= round(share.gpus * 10_000):
            cpus, gpus, held = cpus - round(share.cpus * 10_000), gpus - round(share.gpus * 10_000), held + 1
    assert share.concurrency >= 1
    assert held >= share.concurrency
