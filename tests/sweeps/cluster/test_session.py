"""Which cluster a sweep joins, and how it is named."""

import pytest

from sweeps.cluster import discovery
from sweeps.cluster.session import Cluster, Node
from sweeps.errors import ClusterError


def test_a_cluster_says_what_and_where_it_is() -> None:
    assert str(Cluster((Node(2),))) == "Ray started on this machine: 2 CPUs"
    assert str(Cluster((Node(8, 1), Node(4)), "10.0.0.1:6379")) == (
        "Ray cluster at 10.0.0.1:6379: 2 nodes, 12 CPUs, 1 GPU"
    )
    assert str(Cluster((Node(1),), "h:1", "the last of 2")) == "Ray cluster at h:1: 1 node, 1 CPU (the last of 2)"


def clusters(monkeypatch: pytest.MonkeyPatch, running: list[str], last_started: str | None) -> None:
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", lambda: frozenset(running))
    monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda _: last_started)


def test_auto_needs_no_explanation_where_one_cluster_runs_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters(monkeypatch, ["10.0.0.1:6379"], "10.0.0.1:7000")
    assert discovery.explain_auto() == ""
    clusters(monkeypatch, [], None)
    assert discovery.explain_auto() == ""


def test_auto_names_the_clusters_among_which_ray_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters(monkeypatch, ["10.0.0.1:7000", "10.0.0.1:6379"], "10.0.0.1:7000")
    note = discovery.explain_auto()
    assert "the last started of 2 on this host (10.0.0.1:6379, 10.0.0.1:7000)" in note


@pytest.mark.parametrize("last_started", [None, "10.0.0.1:9999"])
def test_auto_is_refused_where_ray_would_join_any(monkeypatch: pytest.MonkeyPatch, last_started: str | None) -> None:
    clusters(monkeypatch, ["10.0.0.1:7000", "10.0.0.1:6379"], last_started)
    with pytest.raises(ClusterError, match=r"2 run here: 10.0.0.1:6379, 10.0.0.1:7000. Set RAY_ADDRESS to one of them"):
        discovery.explain_auto()
