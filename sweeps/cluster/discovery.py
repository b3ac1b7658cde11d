"""What RAY_ADDRESS=auto means on this host: which Ray clusters run here, and which of them Ray would join."""

from sweeps.errors import ClusterError


def explain_auto() -> str:
    """Return which of several clusters on this host RAY_ADDRESS=auto joins; "" if there is one or none.

    Ray joins the cluster of the last `ray start`, without a word. Raises ClusterError where that one has ended, or
    where no cluster was started so: Ray would join any of them.
    """
    addresses = sorted(_running())
    if len(addresses) <= 1:
        return ""
    newest = _last_started()
    listed = ", ".join(addresses)
    if newest not in addresses:
        raise ClusterError(
            f"RAY_ADDRESS=auto must find one Ray cluster on this host, and {len(addresses)} run here: {listed}. Set "
            "RAY_ADDRESS to one of them, or unset it to run on this machine"
        )
    return f"RAY_ADDRESS=auto: the last started of {len(addresses)} on this host ({listed}); set it to one to choose"


def _running() -> frozenset[str]:
    from ray._private import services

    return frozenset(services.find_gcs_addresses())  # type: ignore[no-untyped-call]


def _last_started() -> str | None:
    from ray._private.services import find_bootstrap_address

    address: str | None = find_bootstrap_address(None)
    return address
