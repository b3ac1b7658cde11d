"""Before a sweep starts, its plug-in networks are tried on its data."""

import logging
from typing import Any

import pytest

from sweeps.config import SweepConfig
from sweeps.errors import DataError
from sweeps.trial.dataset import check_data


def sweep(name: str, **sections: Any) -> SweepConfig:
    document: dict[str, Any] = {
        "name": "small",
        "data": {"name": "digits", "n_train": 50},
        "model": {"name": f"plugin_networks:{name}"},
        "objective": {"metric": "valid/mse"},
    }
    return SweepConfig.from_dict(document | sections)


def test_network_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(DataError, match=r"model: plugin_networks:Narrow.forward must return logits of the"):
        check_data(sweep("Narrow"))


def test_corners_of_the_search_are_tried() -> None:
    data = {"name": "uniform", "n_features": 12, "n_samples": 60}
    search = {"model.name": {"choice": ["plugin_networks:Bare", "plugin_networks:Conv"]}}
    with pytest.raises(DataError, match="samples must be images, and are rows of 12 features"):
        check_data(sweep("Bare", data=data, search=search, budget={"trials": 2}))
    check_data(sweep("Bare", data=data))


@pytest.mark.parametrize(
    ("name", "execution", "is_logged"),
    [("Branching", "packed", True), ("Branching", "auto", False), ("Conv", "packed", False)],
)
def test_network_that_cannot_pack_is_named_in_the_log_of_the_driver(
    name: str, execution: str, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    check_data(sweep(name, execution=execution))
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message.partition(":")[2][:34] for message in messages] == (
        ["Branching is not packed: torch.fun"] if is_logged else []
    )
