"""The network keeps the contract of plug-ins: run `pytest` in this folder."""

import pytest
from conv_autoencoder import ConvAutoencoder

from sweeps.plugins import check_network


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (16, 12, 3)])
def test_network_keeps_the_contract(shape: tuple[int, ...]) -> None:
    checks = check_network(ConvAutoencoder, shape=shape, channels=4, dropout=0.1)
    assert [check for check in checks if check.status == "failed"] == []
    skipped = [check.name for check in checks if check.status == "skipped"]
    assert skipped == ["its filters can be shown"]  # its first layer has no filters of the image's size
