"""A sweep file to change, and the faults that come of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.config import load
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
