"""Sweeps to change: a file and the faults that come of it, and a small one on digits with its data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.config import SweepConfig, load
from sweeps.dataset import Dataset, load_dataset
from sweeps.errors import ConfigError

PLAIN = """\
name: plain
data: {name: digits}
model: {name: shallow}
search:
  model.hidden_size: {int: [8, 64]}
objective: {metric: valid/mse}
budget: {trials: 4}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(PLAIN)
    return path


@pytest.fixture
def faults() -> Callable[..., list[str]]:
    """What `load` finds wrong: lines, each of one fault."""

    def load_in_vain(source: Path | str, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as refusal:
            load(source, overrides)
        assert all(fault and "\n" not in fault for fault in refusal.value.faults)
        return list(refusal.value.faults)

    return load_in_vain


@pytest.fixture
def small_sweep() -> Callable[..., SweepConfig]:
    """A sweep config of three epochs on digits, with other sections in place of its own."""

    def make(**sections: Any) -> SweepConfig:
        document: dict[str, Any] = {
            "name": "small",
            "data": {"name": "digits"},
            "model": {"name": "shallow", "hidden_size": 8},
            "training": {"epochs": 3, "probe_samples": 0},
            "objective": {"metric": "valid/mse"},
        }
        return SweepConfig.from_dict(document | sections)

    return make


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """Digits with their references, loaded once."""
    document = {"name": "digits", "data": {"name": "digits"}, "model": {"name": "shallow"}}
    return load_dataset(SweepConfig.from_dict(document | {"objective": {"metric": "valid/mse"}}))
